//! Random and corrupted archives cause no panic, no endless loop, and no read outside of the archive (and thus no large
//! allocation), which `MemoryStore` checks.

use proptest::prelude::*;
use rand::RngExt;
use tar::EntryType;
use vlp_data::{Source, rng};

use crate::{archive, png, raw, try_open};

/// A valid archive with every feature: long names of both kinds, links, folders, several records, two images.
fn valid_archive() -> Vec<u8> {
    let image = png(5, 4, 9);
    let long = format!("{}/k.txt", "f".repeat(150));
    let mut bytes = archive(&[
        (
            "0.json",
            br#"{"caption": "zero", "boxes": [{"bbox": [0, 0, 2, 2], "label": "a"}]}"#,
        ),
        ("0.png", &image),
        (&long, b"long"),
    ]);
    bytes.truncate(bytes.len() - 1024);
    bytes.extend(raw(b"d/", EntryType::Directory, b""));
    bytes.extend(raw(
        b"pax",
        EntryType::XHeader,
        b"14 path=1.txt\n10 size=3\n",
    ));
    bytes.extend(raw(b"short", EntryType::Regular, b"one"));
    bytes.extend(raw(b"1.png", EntryType::Regular, &image));
    bytes.extend(raw(b"link", EntryType::Symlink, b""));
    bytes.extend(archive(&[
        (
            "2.json",
            br#"[{"text": "two", "label": true, "id": 1}, {"text": "and", "answers": ["b"]}]"#,
        ),
        ("2.png", &image),
        ("2.right.png", &image),
    ]));
    bytes
}

#[derive(Debug, Clone)]
enum Change {
    Byte(usize, u8),
    /// A header's field: name, size, type, or the whole size in binary.
    Field(usize, usize, [u8; 12]),
    Truncate(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let octal = prop::sample::select(vec![
        *b"00000000000\0",
        *b"00000000777\0",
        *b"77777777777\0",
        *b"           8",
        *b"-0000000001\0",
        [0xff; 12],
        [
            0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
        [
            0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
        *b"LKxgS12345\0\0",
    ]);
    let change = prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(offset, byte)| Change::Byte(offset, byte)),
        (
            any::<usize>(),
            prop::sample::select(vec![0, 124, 156, 257, 345]),
            octal
        )
            .prop_map(|(block, offset, bytes)| Change::Field(block, offset, bytes)),
        any::<usize>().prop_map(Change::Truncate),
        (any::<usize>(), 1..4_usize).prop_map(|(block, count)| Change::Remove(block, count)),
        (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ];
    prop::collection::vec(change, 1..5)
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.len() < 512 {
        return;
    }
    let blocks = bytes.len() / 512;
    match change {
        Change::Byte(offset, byte) => {
            let offset = offset % bytes.len();
            bytes[offset] = *byte;
        }
        Change::Field(block, offset, value) => {
            let start = block % blocks * 512 + offset;
            bytes[start..start + 12].copy_from_slice(value);
        }
        Change::Truncate(len) => bytes.truncate(len % bytes.len()),
        Change::Remove(block, count) => {
            let block = block % blocks;
            bytes.drain(block * 512..(block + count).min(blocks) * 512);
        }
        Change::Repeat(from, to) => {
            let from = from % blocks * 512;
            let block = bytes[from..from + 512].to_vec();
            let to = to % blocks * 512;
            bytes.splice(to..to, block);
        }
    }
}

/// Corrects the checksums of all possible headers, so that changes are not detected by them.
fn fix_checksums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

fn check_reading(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let blocks = bytes.len() / 512;
    match try_open(bytes) {
        Ok(source) => {
            prop_assert!(source.len() <= 2 * blocks);
            for index in 0..source.len() {
                let _ = source.load(index);
                prop_assert!(!source.captions(index).unwrap().is_empty());
            }
        }
        Err(error) => prop_assert!(error.to_string().contains("memory"), "{}", error),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(6_000) })]

    // 6,000 corrupted archives, a third of them with wrong checksums.
    #[test]
    fn corrupted_archives_are_read_safely(changes in changes(), fix in 0..3_u8) {
        let mut bytes = valid_archive();
        for change in &changes {
            apply(&mut bytes, change);
        }
        if fix > 0 {
            fix_checksums(&mut bytes);
        }
        check_reading(bytes)?;
    }

    // 6,000 sequences of random bytes, half of them with valid headers.
    #[test]
    fn random_bytes_are_read_safely(seed: u64, blocks in 0..7_usize, rest in 0..512_usize, marked: bool) {
        let mut rng = rng(seed, 0, 0, "bytes");
        let dense = rng.random::<bool>();
        let byte = |_| if dense || rng.random_ratio(1, 8) { rng.random() } else { b'0' };
        let mut bytes: Vec<u8> = (0..blocks * 512 + rest).map(byte).collect();
        if marked {
            for block in bytes.chunks_exact_mut(512) {
                block[257..263].copy_from_slice(b"ustar\0");
                // A small size, so that reading continues.
                block[124..136].copy_from_slice(b"00000000100\0");
                let kinds = *b"0051LKxgS7";
                block[156] = kinds[rng.random_range(0..kinds.len())];
            }
            fix_checksums(&mut bytes);
        }
        check_reading(bytes)?;
    }
}
