//! Damaged and malicious images neither panic nor allocate more memory than the limits explain. This is the only test of its
//! process, because the memory of the process is measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::PathBuf};

use peak_alloc::PeakAlloc;
use rand::{Rng, RngExt};
use vlp_data::{DataError, Limits, decode_image, rng};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Number of mutations per file, and of random byte strings.
const TRIES: u64 = 1200;
const PIXELS: usize = 100_000;
/// Bytes per pixel that a decoder may hold at once: 17 for the 16-bit coefficients of the three channels of a progressive JPEG,
/// its planes, RGBA and RGB; and half as much for rows and tables.
const BYTES: usize = 26;
/// Tables and windows of a decoder; and a partition of a lossy WebP, which the decoder allocates by its 24-bit length before
/// reading it.
const FIXED: usize = (1 << 20) + (1 << 24);

fn decode(bytes: &[u8], name: &str) -> Result<(), DataError> {
    let limits = Limits::default().with_max_pixels(PIXELS);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = decode_image(bytes, name, &limits);
    let used = MEMORY.peak_usage() - before;
    let allowed = PIXELS * BYTES + FIXED;
    assert!(used <= allowed, "{name}: {used} bytes, {allowed} allowed");
    result.map(|image| {
        assert!(image.width * image.height <= PIXELS);
        assert_eq!(image.rgb.len(), image.width * image.height * 3);
    })
}

#[test]
fn malicious_images_use_bounded_memory() {
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
        "palette.gif",
        "offset.gif",
        "beyond.gif",
        "rgb.bmp",
        "palette.bmp",
        "sizes.ico",
        "bitmap.ico",
        "depths.ico",
    ];
    // Allocates what is shared by all images.
    let _ = decode_image(b"", "warm-up", &Limits::default());
    for name in names {
        let original = fs::read(folder.join(name)).unwrap();
        decode(&original, name).unwrap();
        let mut decoded = 0;
        for number in 0..TRIES {
            let mut rng = rng(5, 0, number, name);
            let mut bytes = original.clone();
            // Half of the mutations are in the first bytes, which contain the sizes.
            for _ in 0..rng.random_range(1..9) {
                let end = if rng.random_bool(0.5) {
                    48
                } else {
                    bytes.len()
                };
                let index = rng.random_range(0..end.min(bytes.len()));
                bytes[index] = rng.random();
            }
            if rng.random_bool(0.2) {
                bytes.truncate(rng.random_range(0..=original.len()));
            }
            decoded += usize::from(decode(&bytes, name).is_ok());
        }
        // Both successful and failing decodes are covered.
        assert!(decoded < TRIES as usize, "{name}: {decoded}");
    }
    let starts: [&[u8]; 7] = [
        b"",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x40\0\0\0WEBPVP8X",
        b"GIF89a",
        b"BM",
        b"\0\0\x01\0",
    ];
    for number in 0..TRIES {
        let mut rng = rng(6, 0, number, "bytes");
        let mut bytes = starts[number as usize % starts.len()].to_vec();
        let mut tail = vec![0; rng.random_range(0..400)];
        rng.fill_bytes(&mut tail);
        bytes.extend(tail);
        assert!(decode(&bytes, "random").is_err());
    }

    // Forged sizes: a frame larger than its canvas, a chunk larger than the file.
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
    let forged = [
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
    for (bytes, expected) in forged {
        let error = decode(&bytes, "forged.webp").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
