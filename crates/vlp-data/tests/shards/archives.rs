//! What is read from archives of any origin, and what is refused in them.

use tar::EntryType;
use vlp_data::Source;

use crate::{archive, captions, faults, png, raw, try_open};

const TEXT: EntryType = EntryType::Regular;

#[test]
fn the_members_of_a_key_are_a_sample() {
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
    assert_eq!(faults(&source), []);
    assert_eq!(source.report().other_members, 1);
    let sizes: Vec<_> = (0..4).map(|index| source.size(index)).collect();
    assert_eq!(sizes, [(8, 6), (4, 5), (8, 6), (8, 6)]);
    assert_eq!((source.key(0), source.coco_id(0)), (7, Some(9)));
    assert_eq!(source.coco_id(1), None);
    assert_eq!(source.key(2), source.key(3), "one picture, one key");
    assert_ne!(source.key(1), source.key(2));
    let first = source.load(0).unwrap();
    let object = &first.objects.unwrap()[0];
    assert_eq!(
        (object.bbox, object.area, object.crowd),
        ([1.0, 2.0, 4.0, 6.0], 5.0, true)
    );
    let pair = source.load(3).unwrap();
    assert_eq!(pair.name, "p.png");
    let second = pair.second.unwrap();
    assert_eq!((second.width, second.height), (4, 5));
    assert_eq!(source.encoded(3).unwrap().unwrap().second, Some(two));
    assert_eq!(source.blocks(), [0]);
}

#[test]
fn wrong_members_are_named_and_the_rest_is_kept() {
    let picture = png(3, 3, 0);
    let good = |key: &str| {
        let text = format!("text of {key}");
        let mut all = raw(format!("{key}.txt").as_bytes(), TEXT, text.as_bytes());
        all.extend(raw(format!("{key}.png").as_bytes(), TEXT, &picture));
        all
    };
    let cases: [(&str, Vec<u8>, &str, &str); 16] = [
        (
            "absolute",
            raw(b"/x.png", TEXT, &picture),
            "member /x.png",
            "absolute",
        ),
        (
            "drive",
            raw(b"C:/x.png", TEXT, &picture),
            "member C:/x.png",
            "absolute",
        ),
        (
            "up",
            raw(b"a/../x.png", TEXT, &picture),
            "member a/../x.png",
            "leads out",
        ),
        (
            "backslash",
            raw(b"a\\x.png", TEXT, &picture),
            "member a\\x.png",
            "backslash",
        ),
        (
            "no text",
            raw(b"\xffx.png", TEXT, &picture),
            "member \u{fffd}x.png",
            "no text",
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
            raw(b"x.png", EntryType::new(b'Q'), &picture),
            "member x.png",
            "no regular file",
        ),
        (
            "twice",
            raw(b"one.png", TEXT, &picture),
            "member one.png",
            "of this kind already",
        ),
        (
            "two kinds",
            raw(b"one.jpg", TEXT, &picture),
            "member one.jpg",
            "of this kind already",
        ),
        (
            "no caption",
            raw(b"x.png", TEXT, &picture),
            "x",
            "neither .json nor .txt",
        ),
        (
            "no picture",
            raw(b"x.txt", TEXT, b"words"),
            "x",
            "no picture",
        ),
        (
            "json",
            [
                raw(b"x.json", TEXT, b"{\"caption\": 1}"),
                raw(b"x.png", TEXT, &picture),
            ]
            .concat(),
            "x",
            "did not match",
        ),
        (
            "kind",
            [
                raw(b"x.txt", TEXT, b"words"),
                raw(b"x.png", TEXT, b"GIF89a"),
            ]
            .concat(),
            "x",
            "its picture:",
        ),
    ];
    for (what, wrong, record, reason) in cases {
        let bytes = [good("one"), wrong, good("two"), vec![0; 1024]].concat();
        let source = try_open(bytes).unwrap();
        assert_eq!(captions(&source), ["text of one", "text of two"], "{what}");
        let faults = faults(&source);
        assert_eq!(faults.len(), 1, "{what}: {faults:?}");
        assert_eq!(faults[0].0, record, "{what}");
        assert!(faults[0].1.contains(reason), "{what}: {faults:?}");
        assert_eq!(source.report().left_out, 1);
    }
}

#[test]
fn members_of_one_key_stand_side_by_side() {
    let picture = png(3, 3, 0);
    let bytes = archive(&[
        ("a.txt", b"a"),
        ("a.png", &picture),
        ("b.txt", b"b"),
        ("b.png", &picture),
        ("a.json", b"{}"),
        ("c.txt", b"c"),
        ("c.png", &picture),
    ]);
    let source = try_open(bytes).unwrap();
    assert_eq!(captions(&source), ["a", "b", "c"]);
    let faults = faults(&source);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].0, "member a.json");
    assert!(faults[0].1.contains("side by side"), "{faults:?}");
}

#[test]
fn archives_that_deceive_end_the_shard() {
    let picture = png(3, 3, 0);
    let pax = |records: &str| raw(b"pax", EntryType::XHeader, records.as_bytes());
    let good = [
        raw(b"one.txt", TEXT, b"one"),
        raw(b"one.png", TEXT, &picture),
    ]
    .concat();
    let after = [
        raw(b"two.txt", TEXT, b"two"),
        raw(b"two.png", TEXT, &picture),
    ]
    .concat();
    let mut binary = raw(b"x.txt", TEXT, b"x");
    // 2^64 and one byte: the library's reader sees one.
    binary[124..136].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    let sum: u32 = binary[..512].iter().map(|&b| u32::from(b)).sum();
    let field: u32 = binary[148..156].iter().map(|&b| u32::from(b)).sum();
    let sum = format!("{:06o}\0 ", sum - field + 256);
    binary[148..156].copy_from_slice(sum.as_bytes());
    let cases: [(&str, Vec<u8>, &str); 15] = [
        (
            "two sizes",
            [pax("10 size=0\n"), raw(b"x.txt", TEXT, &good)].concat(),
            "by its PAX extension",
        ),
        (
            "no size",
            [pax("10 size=x\n"), raw(b"x.txt", TEXT, b"x")].concat(),
            "no number",
        ),
        (
            "size twice",
            [pax("10 size=1\n10 size=1\n"), raw(b"x.txt", TEXT, b"x")].concat(),
            "two PAX sizes",
        ),
        (
            "short record",
            [pax("99 size=1\n"), raw(b"x.txt", TEXT, b"x")].concat(),
            "malformed",
        ),
        (
            "empty line",
            [pax("10 size=1\n\n10 size=9\n"), raw(b"x.txt", TEXT, b"x")].concat(),
            "malformed",
        ),
        (
            "sparse",
            [pax("25 GNU.sparse.realsize=1\n"), raw(b"x.txt", TEXT, b"x")].concat(),
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
                raw(b"x.txt", TEXT, b"x"),
            ]
            .concat(),
            "two PAX extensions",
        ),
        (
            "two names",
            [
                raw(b"l", EntryType::GNULongName, b"y.txt\0"),
                pax("14 path=a.txt\n"),
                raw(b"x.txt", TEXT, b"x"),
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
            raw(b"x/", EntryType::Directory, &good),
            "a folder or link of",
        ),
        ("binary size", binary, "no number"),
        (
            "checksum",
            {
                let mut bad = raw(b"x.txt", TEXT, b"x");
                bad[0] = b'y';
                bad
            },
            "no tar header",
        ),
        (
            "extension alone",
            [pax("10 size=1\n"), vec![0; 1024]].concat(),
            "without a member",
        ),
    ];
    for (what, wrong, reason) in cases {
        let bytes = [good.clone(), wrong, after.clone(), vec![0; 1024]].concat();
        let source = try_open(bytes).unwrap();
        assert_eq!(captions(&source), ["one"], "{what}");
        let faults = faults(&source);
        assert_eq!(faults.len(), 1, "{what}: {faults:?}");
        assert_eq!(faults[0].0, "archive", "{what}");
        assert!(
            faults[0].1.contains(reason) && faults[0].1.contains("after its member one.png"),
            "{what}: {faults:?}"
        );
    }
    let behind = [good.clone(), vec![0; 1024], after].concat();
    let found = faults(&try_open(behind).unwrap());
    assert!(found[0].1.contains("behind its end mark"), "{found:?}");
}

#[test]
fn long_names_of_both_kinds_are_understood() {
    let picture = png(3, 3, 0);
    let folder = "f".repeat(180);
    let long = format!("{folder}/k");
    // The library writes names of more than 100 bytes that do not split as GNU's.
    let mut bytes = archive(&[
        (format!("{long}.txt").as_str(), b"gnu"),
        (format!("{long}.png").as_str(), &picture),
    ]);
    bytes.truncate(bytes.len() - 1024);
    assert!(bytes.windows(13).any(|w| w == b"././@LongLink"));
    for (kind, content) in [("txt", &b"pax"[..]), ("png", &picture)] {
        let mut builder = tar::Builder::new(Vec::new());
        let name = format!("ü{}.{kind}", "g".repeat(300));
        let size = content.len().to_string();
        builder
            .append_pax_extensions([("path", name.as_bytes()), ("size", size.as_bytes())])
            .unwrap();
        let mut all = builder.into_inner().unwrap();
        all.truncate(all.len() - 1024);
        bytes.extend(all);
        bytes.extend(raw(b"short", TEXT, content));
    }
    bytes.extend([0; 1024]);
    let source = try_open(bytes).unwrap();
    assert_eq!(captions(&source), ["gnu", "pax"]);
    assert_eq!(faults(&source), []);
    assert!(source.load(1).unwrap().name.starts_with('ü'));
}

#[test]
fn of_a_cut_off_archive_everything_before_is_kept() {
    let picture = png(9, 9, 3);
    let texts: Vec<String> = (0..5).map(|n| format!("text {n}")).collect();
    let names: Vec<String> = (0..5)
        .flat_map(|n| [format!("{n}.txt"), format!("{n}.png")])
        .collect();
    let members: Vec<(&str, &[u8])> = (names.iter().enumerate())
        .map(|(at, name)| match at % 2 {
            0 => (name.as_str(), texts[at / 2].as_bytes()),
            _ => (name.as_str(), picture.as_slice()),
        })
        .collect();
    let whole = archive(&members);
    let member = 512 + picture.len().next_multiple_of(512);
    let sample = 1024 + member;
    for len in (0..whole.len()).step_by(97) {
        let result = try_open(whole[..len].to_vec());
        // A member is whole with its last byte, before its padding.
        let kept = (0..5)
            .filter(|n| n * sample + 1024 + 512 + picture.len() <= len)
            .count();
        let source = match result {
            Ok(source) => source,
            Err(error) => {
                assert_eq!(kept, 0, "{error}");
                assert!(error.to_string().contains("cut off"), "{error}");
                continue;
            }
        };
        assert_eq!(captions(&source), texts[..kept], "of {len} bytes");
        let faults = faults(&source);
        let (record, reason) = &faults[0];
        assert!(
            record == "archive" && reason.contains("cut off"),
            "{faults:?}"
        );
        let rest = len.saturating_sub(kept * sample);
        let last = match rest >= 512 + 6 && kept < 5 {
            true => format!("{kept}.txt"),
            false => format!("{}.png", kept - 1),
        };
        assert!(
            reason.contains(&format!("its member {last},")),
            "{len}: {reason}"
        );
        for index in 0..kept {
            source.load(index).unwrap();
        }
    }
    assert_eq!(faults(&try_open(whole).unwrap()), []);
}
