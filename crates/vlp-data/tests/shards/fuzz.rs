//! Archives that nobody should have written: no panic, no endless loop, and no read (so no allocation of a length that an
//! archive names) outside of the archive, which `Memory` checks by its slices.

use proptest::prelude::*;
use rand::RngExt;
use tar::EntryType;
use vlp_data::{Source, rng};

use crate::{archive, png, raw, try_open};

/// Everything that the reader knows: long names of both kinds, links, folders, several records, two pictures.
fn base() -> Vec<u8> {
    let picture = png(5, 4, 9);
    let long = format!("{}/k.txt", "f".repeat(150));
    let mut bytes = archive(&[
        (
            "0.json",
            br#"{"caption": "zero", "boxes": [{"bbox": [0, 0, 2, 2], "label": "a"}]}"#,
        ),
        ("0.png", &picture),
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
    bytes.extend(raw(b"1.png", EntryType::Regular, &picture));
    bytes.extend(raw(b"link", EntryType::Symlink, b""));
    bytes.extend(archive(&[
        (
            "2.json",
            br#"[{"text": "two", "label": true, "id": 1}, {"text": "and", "answers": ["b"]}]"#,
        ),
        ("2.png", &picture),
        ("2.right.png", &picture),
    ]));
    bytes
}

#[derive(Debug, Clone)]
enum Change {
    Byte(usize, u8),
    /// A header's field: name, size, type, or the whole size in binary.
    Field(usize, usize, [u8; 12]),
    Cut(usize),
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
    let one = prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (
            any::<usize>(),
            prop::sample::select(vec![0, 124, 156, 257, 345]),
            octal
        )
            .prop_map(|(block, at, bytes)| Change::Field(block, at, bytes)),
        any::<usize>().prop_map(Change::Cut),
        (any::<usize>(), 1..4_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ];
    prop::collection::vec(one, 1..5)
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.len() < 512 {
        return;
    }
    let blocks = bytes.len() / 512;
    match change {
        Change::Byte(at, byte) => {
            let at = at % bytes.len();
            bytes[at] = *byte;
        }
        Change::Field(block, at, value) => {
            let at = block % blocks * 512 + at;
            bytes[at..at + 12].copy_from_slice(value);
        }
        Change::Cut(at) => bytes.truncate(at % bytes.len()),
        Change::Remove(at, count) => {
            let at = at % blocks;
            bytes.drain(at * 512..(at + count).min(blocks) * 512);
        }
        Change::Repeat(from, to) => {
            let from = from % blocks * 512;
            let block = bytes[from..from + 512].to_vec();
            let to = to % blocks * 512;
            bytes.splice(to..to, block);
        }
    }
}

/// Right checksums wherever a block may be a header, so that changes are not found out by them.
fn sums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

fn read(bytes: Vec<u8>) -> Result<(), TestCaseError> {
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

    // 6,000 changed archives, a third of them with the checksums left wrong.
    #[test]
    fn changed_archives(changes in changes(), mend in 0..3_u8) {
        let mut bytes = base();
        for change in &changes {
            apply(&mut bytes, change);
        }
        if mend > 0 {
            sums(&mut bytes);
        }
        read(bytes)?;
    }

    // 6,000 of bytes by chance, half of them with a mark and sums that make them headers.
    #[test]
    fn any_bytes(seed: u64, blocks in 0..7_usize, rest in 0..512_usize, marked: bool) {
        let mut draw = rng(seed, 0, 0, "bytes");
        let dense = draw.random::<bool>();
        let byte = |_| if dense || draw.random_ratio(1, 8) { draw.random() } else { b'0' };
        let mut bytes: Vec<u8> = (0..blocks * 512 + rest).map(byte).collect();
        if marked {
            for block in bytes.chunks_exact_mut(512) {
                block[257..263].copy_from_slice(b"ustar\0");
                // Small sizes, so that it goes on.
                block[124..136].copy_from_slice(b"00000000100\0");
                let kinds = *b"0051LKxgS7";
                block[156] = kinds[draw.random_range(0..kinds.len())];
            }
            sums(&mut bytes);
        }
        read(bytes)?;
    }
}
