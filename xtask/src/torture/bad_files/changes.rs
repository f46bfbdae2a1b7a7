//! What makes a file bad.

use super::super::png;
use super::json;

pub(super) enum Change {
    Bytes(Vec<u8>),
    Missing,
    Folder,
    Link(&'static str),
    LinkToItself,
}

/// The format of a file, for changes of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    JsonLines,
    Png,
    Safetensors,
    Tar,
    Other,
}

/// Changes of a JSON file's fields at most.
const FIELDS: usize = 20;

pub(super) fn all(file: &[u8], format: Format) -> Vec<(String, Change)> {
    let mut changes = general(file);
    let bytes = match format {
        Format::Json => json::texts(file, FIELDS),
        Format::JsonLines => json::lines(file, FIELDS),
        Format::Png => png_files(file),
        Format::Safetensors => safetensors(file),
        Format::Tar => tar(file),
        Format::Other => vec![],
    };
    let bytes = bytes
        .into_iter()
        .map(|(name, bytes)| (name, Change::Bytes(bytes)));
    changes.extend(bytes);
    changes
}

/// Changes of any file.
fn general(file: &[u8]) -> Vec<(String, Change)> {
    let mut changes = vec![
        ("missing".to_owned(), Change::Missing),
        ("a folder".into(), Change::Folder),
        ("a link to nothing".into(), Change::Link("/nowhere/at/all")),
        ("a link to itself".into(), Change::LinkToItself),
        ("a link to a device".into(), Change::Link("/dev/null")),
    ];
    let length = file.len();
    let mut ends = vec![
        0,
        1,
        7,
        8,
        9,
        length / 4,
        length / 2,
        length - length / 8,
        length - 2,
        length - 1,
    ];
    ends.retain(|end| *end < length);
    // Of a short file some are the same.
    ends.sort_unstable();
    ends.dedup();
    let cut = ends
        .into_iter()
        .map(|end| (format!("cut to {end} bytes"), file[..end].to_vec()));
    let zeros = (0..3).map(|part| {
        let mut bytes = file.to_vec();
        bytes[part * length / 3..(part + 1) * length / 3].fill(0);
        (format!("zeros in part {part}"), bytes)
    });
    let others = [
        (
            "a page".to_owned(),
            b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n".to_vec(),
        ),
        ("not UTF-8".into(), vec![0xff; 64]),
        ("twice".into(), [file, file].concat()),
    ];
    let bytes = cut.chain(zeros).chain(others);
    changes.extend(bytes.map(|(name, bytes)| (name, Change::Bytes(bytes))));
    changes
}

fn png_files(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut changes: Vec<(String, Vec<u8>)> = [
        (0, 0),
        (0, 64),
        (64, 0),
        (1, 1 << 30),
        (60_000, 60_000),
        (u32::MAX, u32::MAX),
    ]
    .into_iter()
    .map(|(width, height)| {
        (
            format!("{width} x {height}"),
            png::with_size(file, width, height),
        )
    })
    .collect();
    for (place, name) in [
        (8, "depth"),
        (9, "colors"),
        (10, "compression"),
        (12, "interlacing"),
    ] {
        changes.push((format!("{name} 77"), png::with_header_byte(file, place, 77)));
    }
    changes.push((
        "cut after the header".into(),
        file[..png::HEADER_END].to_vec(),
    ));
    changes
}

fn safetensors(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Some(length) = file
        .first_chunk::<8>()
        .map(|head| u64::from_le_bytes(*head) as usize)
    else {
        return vec![];
    };
    let (header, data) = (
        String::from_utf8_lossy(&file[8..8 + length]),
        &file[8 + length..],
    );
    let with_header = |header: &str| {
        [
            &(header.len() as u64).to_le_bytes(),
            header.as_bytes(),
            data,
        ]
        .concat()
    };
    let with_length = |length: u64| [&length.to_le_bytes(), &file[8..]].concat();
    let tensor = |text: &str| with_header(&format!("{{\"a\":{text}}}"));
    let mut changes = vec![
        (
            "cut after the header".to_owned(),
            file[..8 + length].to_vec(),
        ),
        (
            "cut within the header".into(),
            file[..8 + length / 2].to_vec(),
        ),
        ("more data".into(), [file, &[0; 4]].concat()),
        ("no tensors".into(), with_header("{}")),
        ("a list as header".into(), with_header("[]")),
        (
            "an unknown type".into(),
            with_header(&header.replacen("F32", "F31", 1)),
        ),
        (
            "a negative side".into(),
            with_header(&header.replacen("\"shape\":[", "\"shape\":[-1,", 1)),
        ),
    ];
    for length in [
        0,
        1,
        length as u64 - 1,
        length as u64 + 1,
        1 << 40,
        u64::MAX,
    ] {
        changes.push((format!("a header of {length} bytes"), with_length(length)));
    }
    for (name, text) in [
        (
            "a huge tensor",
            r#"{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}"#,
        ),
        (
            "a shape that overflows",
            r#"{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}"#,
        ),
        (
            "offsets that go back",
            r#"{"dtype":"F32","shape":[1],"data_offsets":[4,0]}"#,
        ),
        (
            "offsets of another length",
            r#"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#,
        ),
        ("no offsets", r#"{"dtype":"F32","shape":[1]}"#),
        ("a number as tensor", "7"),
        (
            "a hole before the data",
            r#"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#,
        ),
    ] {
        changes.push((name.into(), tensor(text)));
    }
    let one = r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    changes.push((
        "a name twice".into(),
        with_header(&format!("{{{one},{one}}}")),
    ));
    let nested = "[".repeat(100_000);
    changes.push(("nested brackets".into(), with_header(&nested)));
    changes
}

/// Length of a member's header.
const BLOCK: usize = 512;

fn tar(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    // Of the first member, with its checksum.
    let with = |place: usize, text: &[u8]| {
        let mut bytes = file.to_vec();
        bytes[place..place + text.len()].copy_from_slice(text);
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes[..BLOCK].iter().map(|byte| u32::from(*byte)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes
    };
    let mut changes: Vec<(String, Vec<u8>)> = [
        ("a path above", with(0, b"../escape.json\0")),
        ("an absolute path", with(0, b"/etc/passwd.json\0")),
        ("a path of zeros", with(0, &[0; 100])),
        ("a link", with(156, b"2")),
        ("a device", with(156, b"3")),
        ("a huge member", with(124, b"77777777777\0")),
        ("a size that is no number", with(124, b"zzzzzzzzzzz\0")),
        ("a size in base 256", with(124, &[0xff; 12])),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into();
    let mut checksum = file.to_vec();
    checksum[0] ^= 1;
    changes.push(("another checksum".into(), checksum));
    changes.push(("cut after a header".into(), file[..BLOCK].to_vec()));
    changes.push(("cut within a header".into(), file[..BLOCK / 2].to_vec()));
    changes.push((
        "without its end".into(),
        file[..file.len() - 2 * BLOCK].to_vec(),
    ));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_file_has_no_change_twice() {
        for length in 3..40 {
            let changes = general(&vec![b'a'; length]);
            let mut names: Vec<&String> = changes.iter().map(|(name, _)| name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{length} bytes");
        }
    }
}
