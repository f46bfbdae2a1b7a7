//! Reading of valid archives, and rejection of invalid or malicious ones.

use tar::EntryType;
use vlp_data::Source;

use crate::{archive, captions, png, raw, skipped, try_open};

const FILE: EntryType = EntryType::Regular;

#[test]
fn members_with_one_key_form_a_sample() {
    let (one, two) = (png(8, 6, 1), png(4, 5, 2));
    let bytes = archive(&[
        ("a/0001.JPG", &one),
        ("a/0001.json", br#"{"caption": "a dog", "image_id": 7, "coco_id": 9, "boxes": [{"bbox": [1, 2, 3, 4], "label": "dog", "area": 5, "crowd": true}]}"#),
        ("a/0002.cls", b"3"),
        ("a/0002.txt", b"two\n"),
        ("a/0002.json", br#"{"key": "000", "url": "http://example.org", "status": "success"}"#),
        ("a/0002.png", &two),
        ("pair.json", br#"[{"text": "same", "label": false, "image": "p.png", "image2": "q.png", "id": 1}, {"text": "other", "label": true, "id": "x"}]"#),
        ("pair.jpeg", &one),
        ("pair.right.png", &two),
    ]);
    let source = try_open(bytes).unwrap();
    assert_eq!(captions(&source), ["a dog", "two", "same", "other"]);
    assert_eq!(skipped(&source), []);
    assert_eq!(source.report().other_members, 1);
    let sizes: Vec<_> = (0..4).map(|index| source.size(index)).collect();
    assert_eq!(sizes, [(8, 6), (4, 5), (8, 6), (8, 6)]);
    assert_eq!((source.key(0), source.coco_id(0)), (7, Some(9)));
    assert_eq!(source.coco_id(1), None);
    assert_eq!(source.key(2), source.key(3), "one image, one key");
    assert_ne!(source.key(1), source.key(2));
    let first = source.load(0).unwrap();
    let object = &first.objects.unwrap()[0];
    assert_eq!(
        (object.bbox, object.area, object.crowd),
        ([1.0, 2.0, 4.0, 6.0], 5.0, true)
    );
    let pair = source.load(3).unwrap();
    assert_eq!(pair.name, "p.png");
    let second = pair.second_image.unwrap();
    assert_eq!((second.width, second.height), (4, 5));
    assert_eq!(
        source.encoded_image(3).unwrap().unwrap().second_image,
        Some(two)
    );
    assert_eq!(source.block_starts(), [0]);
}

#[test]
fn invalid_members_are_listed_and_others_are_read() {
    let image = png(3, 3, 0);
    let valid = |key: &str| {
        let text = format!("text of {key}");
        let mut members = raw(format!("{key}.txt").as_bytes(), FILE, text.as_bytes());
        members.extend(raw(format!("{key}.png").as_bytes(), FILE, &image));
        members
    };
    let cases: [(&str, Vec<u8>, &str, &str); 16] = [
        (
            "absolute",
            raw(b"/x.png", FILE, &image),
            "member /x.png",
            "absolute",
        ),
        (
            "drive",
            raw(b"C:/x.png", FILE, &image),
            "member C:/x.png",
            "absolute",
        ),
        (
            "up",
            raw(b"a/../x.png", FILE, &image),
            "member a/../x.png",
            "leads out",
        ),
        (
            "backslash",
            raw(b"a\\x.png", FILE, &image),
            "member a\\x.png",
            "backslash",
        ),
        (
            "not text",
            raw(b"\xffx.png", FILE, &image),
            "member \u{fffd}x.png",
            "not text",
        ),
        (
            "symlink",
            raw(b"x.png", EntryType::Symlink, b""),
            "member x.png",
            "a link",
        ),
        (
            "link",
            raw(b"x.png", EntryType::Link, b""),
            "member x.png",
            "a link",
        ),
        (
            "device",
            raw(b"x.png", EntryType::Char, b""),
            "member x.png",
            "a device",
        ),
        (
            "fifo",
            raw(b"x.png", EntryType::Fifo, b""),
            "member x.png",
            "a device",
        ),
        (
            "unknown",
            raw(b"x.png", EntryType::new(b'Q'), &image),
            "member x.png",
            "not a regular file",
        ),
        (
            "twice",
            raw(b"one.png", FILE, &image),
            "member one.png",
            "already has a member of this kind",
        ),
        (
            "two kinds",
            raw(b"one.jpg", FILE, &image),
            "member one.jpg",
            "already has a member of this kind",
        ),
        (
            "no caption",
            raw(b"x.png", FILE, &image),
            "x",
            "neither .json nor .txt",
        ),
        ("no image", raw(b"x.txt", FILE, b"words"), "x", "no image"),
        (
            "json",
            [
                raw(b"x.json", FILE, b"{\"caption\": 1}"),
                raw(b"x.png", FILE, &image),
            ]
            .concat(),
            "x",
            "a text or a list of texts",
        ),
        (
            "kind",
            [
                raw(b"x.txt", FILE, b"words"),
                raw(b"x.png", FILE, b"GIF89a"),
            ]
            .concat(),
            "x",
            "its image:",
        ),
    ];
    for (what, invalid, record, reason) in cases {
        let bytes = [valid("one"), invalid, valid("two"), vec![0; 1024]].concat();
        let source = try_open(bytes).unwrap();
        assert_eq!(captions(&source), ["text of one", "text of two"], "{what}");
        let skipped = skipped(&source);
        assert_eq!(skipped.len(), 1, "{what}: {skipped:?}");
        assert_eq!(skipped[0].0, record, "{what}");
        assert!(skipped[0].1.contains(reason), "{what}: {skipped:?}");
        assert_eq!(source.report().skipped, 1);
    }
}

#[test]
fn members_of_a_sample_must_be_consecutive() {
    let image = png(3, 3, 0);
    let bytes = archive(&[
        ("a.txt", b"a"),
        ("a.png", &image),
        ("b.txt", b"b"),
        ("b.png", &image),
        ("a.json", b"{}"),
        ("c.txt", b"c"),
        ("c.png", &image),
    ]);
    let source = try_open(bytes).unwrap();
    assert_eq!(captions(&source), ["a", "b", "c"]);
    let skipped = skipped(&source);
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].0, "member a.json");
    assert!(skipped[0].1.contains("must be consecutive"), "{skipped:?}");
}

#[test]
fn reading_stops_at_a_malicious_header() {
    let image = png(3, 3, 0);
    let pax = |records: &str| raw(b"pax", EntryType::XHeader, records.as_bytes());
    let valid = [raw(b"one.txt", FILE, b"one"), raw(b"one.png", FILE, &image)].concat();
    let after = [raw(b"two.txt", FILE, b"two"), raw(b"two.png", FILE, &image)].concat();
    let mut binary = raw(b"x.txt", FILE, b"x");
    // A size of 2^64 + 1, of which the `tar` crate reads only the 1.
    binary[124..136].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    let sum: u32 = binary[..512].iter().map(|&b| u32::from(b)).sum();
    let field: u32 = binary[148..156].iter().map(|&b| u32::from(b)).sum();
    let sum = format!("{:06o}\0 ", sum - field + 256);
    binary[148..156].copy_from_slice(sum.as_bytes());
    let cases: [(&str, Vec<u8>, &str); 15] = [
        (
            "two sizes",
            [pax("10 size=0\n"), raw(b"x.txt", FILE, &valid)].concat(),
            "by its PAX extension",
        ),
        (
            "no size",
            [pax("10 size=x\n"), raw(b"x.txt", FILE, b"x")].concat(),
            "not a number",
        ),
        (
            "size twice",
            [pax("10 size=1\n10 size=1\n"), raw(b"x.txt", FILE, b"x")].concat(),
            "two PAX sizes",
        ),
        (
            "short record",
            [pax("99 size=1\n"), raw(b"x.txt", FILE, b"x")].concat(),
            "malformed",
        ),
        (
            "empty line",
            [pax("10 size=1\n\n10 size=9\n"), raw(b"x.txt", FILE, b"x")].concat(),
            "malformed",
        ),
        (
            "sparse",
            [pax("25 GNU.sparse.realsize=1\n"), raw(b"x.txt", FILE, b"x")].concat(),
            "sparse",
        ),
        (
            "old sparse",
            raw(b"x.txt", EntryType::GNUSparse, b"x"),
            "sparse",
        ),
        (
            "global size",
            raw(b"x", EntryType::XGlobalHeader, b"10 size=1\n"),
            "global",
        ),
        (
            "two extensions",
            [
                pax("10 size=1\n"),
                pax("10 size=1\n"),
                raw(b"x.txt", FILE, b"x"),
            ]
            .concat(),
            "two PAX extensions",
        ),
        (
            "two names",
            [
                raw(b"l", EntryType::GNULongName, b"y.txt\0"),
                pax("14 path=a.txt\n"),
                raw(b"x.txt", FILE, b"x"),
            ]
            .concat(),
            "two names",
        ),
        (
            "long extension",
            raw(b"l", EntryType::GNULongName, &vec![b'a'; (1 << 20) + 1]),
            "more than 1048576",
        ),
        (
            "folder with bytes",
            raw(b"x/", EntryType::Directory, &valid),
            "a folder or link of",
        ),
        ("binary size", binary, "not a number"),
        (
            "checksum",
            {
                let mut corrupt = raw(b"x.txt", FILE, b"x");
                corrupt[0] = b'y';
                corrupt
            },
            "expected a tar header",
        ),
        (
            "extension alone",
            [pax("10 size=1\n"), vec![0; 1024]].concat(),
            "without a member",
        ),
    ];
    for (what, invalid, reason) in cases {
        let bytes = [valid.clone(), invalid, after.clone(), vec![0; 1024]].concat();
        let source = try_open(bytes).unwrap();
        assert_eq!(captions(&source), ["one"], "{what}");
        let skipped = skipped(&source);
        assert_eq!(skipped.len(), 1, "{what}: {skipped:?}");
        assert_eq!(skipped[0].0, "archive", "{what}");
        assert!(
            skipped[0].1.contains(reason)
                && skipped[0]
                    .1
                    .contains("after the last complete member one.png"),
            "{what}: {skipped:?}"
        );
    }
    // Also further away than what is read at once.
    for zeros in [1024, 100 << 10] {
        let trailing_data = [valid.clone(), vec![0; zeros], after.clone()].concat();
        let skipped = skipped(&try_open(trailing_data).unwrap());
        assert!(skipped[0].1.contains("data after the end"), "{skipped:?}");
    }
}

#[test]
fn long_names_in_gnu_and_pax_extensions_are_read() {
    let image = png(3, 3, 0);
    let folder = "f".repeat(180);
    let long = format!("{folder}/k");
    // The `tar` crate writes names of more than 100 bytes that cannot be split as GNU extensions.
    let mut bytes = archive(&[
        (format!("{long}.txt").as_str(), b"gnu"),
        (format!("{long}.png").as_str(), &image),
    ]);
    bytes.truncate(bytes.len() - 1024);
    assert!(bytes.windows(13).any(|w| w == b"././@LongLink"));
    for (kind, content) in [("txt", &b"pax"[..]), ("png", &image)] {
        let mut builder = tar::Builder::new(Vec::new());
        let name = format!("ü{}.{kind}", "g".repeat(300));
        let size = content.len().to_string();
        builder
            .append_pax_extensions([("path", name.as_bytes()), ("size", size.as_bytes())])
            .unwrap();
        let mut extension = builder.into_inner().unwrap();
        extension.truncate(extension.len() - 1024);
        bytes.extend(extension);
        bytes.extend(raw(b"short", FILE, content));
    }
    bytes.extend([0; 1024]);
    let source = try_open(bytes).unwrap();
    assert_eq!(captions(&source), ["gnu", "pax"]);
    assert_eq!(skipped(&source), []);
    assert!(source.load(1).unwrap().name.starts_with('ü'));
}

#[test]
fn truncated_archives_are_read_up_to_the_last_complete_sample() {
    let image = png(9, 9, 3);
    let texts: Vec<String> = (0..5).map(|n| format!("text {n}")).collect();
    let names: Vec<String> = (0..5)
        .flat_map(|n| [format!("{n}.txt"), format!("{n}.png")])
        .collect();
    let members: Vec<(&str, &[u8])> = (names.iter().enumerate())
        .map(|(index, name)| match index % 2 {
            0 => (name.as_str(), texts[index / 2].as_bytes()),
            _ => (name.as_str(), image.as_slice()),
        })
        .collect();
    let whole = archive(&members);
    let member = 512 + image.len().next_multiple_of(512);
    let sample = 1024 + member;
    for len in (0..whole.len()).step_by(97) {
        let result = try_open(whole[..len].to_vec());
        // A member is complete without its padding.
        let complete = (0..5)
            .filter(|n| n * sample + 1024 + 512 + image.len() <= len)
            .count();
        let source = match result {
            Ok(source) => source,
            Err(error) => {
                assert_eq!(complete, 0, "{error}");
                assert!(error.to_string().contains("truncated"), "{error}");
                continue;
            }
        };
        assert_eq!(captions(&source), texts[..complete], "of {len} bytes");
        let skipped = skipped(&source);
        let (record, reason) = &skipped[0];
        assert!(
            record == "archive" && reason.contains("truncated"),
            "{skipped:?}"
        );
        let rest = len.saturating_sub(complete * sample);
        let last = match rest >= 512 + 6 && complete < 5 {
            true => format!("{complete}.txt"),
            false => format!("{}.png", complete - 1),
        };
        assert!(
            reason.ends_with(&format!("after the last complete member {last}")),
            "{len}: {reason}"
        );
        for index in 0..complete {
            source.load(index).unwrap();
        }
    }
    assert_eq!(skipped(&try_open(whole).unwrap()), []);
}
