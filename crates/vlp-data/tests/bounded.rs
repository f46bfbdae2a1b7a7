//! Damaged and hostile pictures: never a panic, never more memory than their limits explain. One test a process, as the
//! memory is the process's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::PathBuf};

use peak_alloc::PeakAlloc;
use rand::{Rng, RngExt};
use vlp_data::{DataError, Limits, decode_picture, rng};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Damaged pictures tried of each kind, and strings of random bytes.
const TRIES: u64 = 1200;
const PIXELS: usize = 100_000;
/// Bytes a pixel that a decoder may hold at once: coefficients of 16 bits for three channels of a progressive JPEG, its
/// planes, RGBA and RGB are 17; half as much again for rows and tables.
const BYTES: usize = 26;
/// Tables and windows of a decoder of any picture; and a partition of a lossy WebP, whose length of 24 bits the decoder
/// believes before it has read it.
const FIXED: usize = (1 << 20) + (1 << 24);

fn decode(bytes: &[u8], name: &str) -> Result<(), DataError> {
    let limits = Limits {
        max_pixels: PIXELS,
        ..Limits::default()
    };
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = decode_picture(bytes, name, &limits);
    let took = MEMORY.peak_usage() - before;
    let allowed = PIXELS * BYTES + FIXED;
    assert!(took <= allowed, "{name}: {took} bytes, {allowed} allowed");
    result.map(|picture| {
        assert!(picture.width * picture.height <= PIXELS);
        assert_eq!(picture.rgb.len(), picture.width * picture.height * 3);
    })
}

#[test]
fn hostile_pictures_take_bounded_memory() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let names = [
        "rgb.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "exif6.jpg",
        "rgb.png",
        "palette.png",
        "alpha.png",
        "exif6.png",
        "lossy.webp",
        "lossless.webp",
        "alpha.webp",
        "alpha_lossy.webp",
        "exif6.webp",
    ];
    // What is allocated once for all pictures.
    let _ = decode_picture(b"", "warm", &Limits::default());
    for name in names {
        let whole = fs::read(folder.join(name)).unwrap();
        decode(&whole, name).unwrap();
        let mut read = 0;
        for number in 0..TRIES {
            let mut rng = rng(5, 0, number, name);
            let mut bytes = whole.clone();
            // Half of the changes go into the first bytes, where sizes stand.
            for _ in 0..rng.random_range(1..9) {
                let end = if rng.random_bool(0.5) {
                    48
                } else {
                    bytes.len()
                };
                let at = rng.random_range(0..end.min(bytes.len()));
                bytes[at] = rng.random();
            }
            if rng.random_bool(0.2) {
                bytes.truncate(rng.random_range(0..=whole.len()));
            }
            read += usize::from(decode(&bytes, name).is_ok());
        }
        // Most are damaged beyond reading, and some are not: both ways are tried.
        assert!(read < TRIES as usize, "{name}: {read}");
    }
    let starts: [&[u8]; 4] = [
        b"",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x40\0\0\0WEBPVP8X",
    ];
    for number in 0..TRIES {
        let mut rng = rng(6, 0, number, "bytes");
        let mut bytes = starts[number as usize % 4].to_vec();
        let mut tail = vec![0; rng.random_range(0..400)];
        rng.fill_bytes(&mut tail);
        bytes.extend(tail);
        assert!(decode(&bytes, "random").is_err());
    }

    // Sizes that lie: of a frame larger than its canvas, of a chunk larger than the file.
    let frame = |width: u16, height: u16| {
        let mut vp8 = vec![0x10, 0, 0, 0x9d, 0x01, 0x2a];
        vp8.extend([width, height].iter().flat_map(|side| side.to_le_bytes()));
        vp8.extend([7; 40]);
        vp8
    };
    let chunk = |kind: &[u8; 4], len: usize, payload: &[u8]| {
        [kind, &(len as u32).to_le_bytes()[..], payload].concat()
    };
    let file = |flags: u8, chunks: Vec<Vec<u8>>| {
        let canvas = chunk(b"VP8X", 10, &[flags, 0, 0, 0, 9, 0, 0, 9, 0, 0]);
        let body = [b"WEBP".to_vec(), canvas, chunks.concat()].concat();
        chunk(b"RIFF", body.len(), &body)
    };
    let large = frame(16_383, 16_383);
    let lies = [
        (
            file(0, vec![chunk(b"VP8 ", large.len(), &large)]),
            "frame of 16383x16383",
        ),
        (
            file(8, vec![chunk(b"EXIF", u32::MAX as usize, &[1; 30])]),
            "ends early",
        ),
        (
            file(0, vec![chunk(b"VP8 ", u32::MAX as usize, &frame(10, 10))]),
            "ends early",
        ),
        (chunk(b"RIFF", 999, b"WEBPVP8 "), "ends early"),
    ];
    for (bytes, expected) in lies {
        let error = decode(&bytes, "lie.webp").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
