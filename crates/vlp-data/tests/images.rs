//! Decoding and resizing compared with Pillow, and damaged files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use vlp_data::{
    DataError, Image, Limits, Object, ResizeRule, decode_image, rng,
    transform::{resize, resize_objects},
};

fn data(name: &str) -> Vec<u8> {
    fs::read(
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name),
    )
    .unwrap()
}

fn decode(name: &str) -> Image {
    decode_image(&data(name), name, &Limits::default()).unwrap()
}

fn max_abs_diff(a: &Image, b: &Image) -> u8 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    a.rgb
        .iter()
        .zip(&b.rgb)
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap()
}

#[test]
fn decoded_pixels_equal_pillow() {
    let mut names: Vec<String> = ["rgb", "gray", "palette", "bit", "deep", "alpha"]
        .map(|n| format!("{n}.png"))
        .into();
    names.extend(["rgb", "progressive", "gray", "cmyk"].map(|n| format!("{n}.jpg")));
    names.extend((1..=8).flat_map(|n| [format!("exif{n}.jpg"), format!("exif{n}.png")]));
    names.extend(
        [
            "lossy",
            "lossless",
            "alpha",
            "alpha_lossy",
            "exif3",
            "exif6",
        ]
        .map(|n| format!("{n}.webp")),
    );
    // The first frame of three; a frame smaller than the screen; a frame beyond the screen, which is enlarged.
    names.extend(["palette", "animated", "offset", "beyond"].map(|n| format!("{n}.gif")));
    names.extend(["rgb", "palette", "bit"].map(|n| format!("{n}.bmp")));
    // The largest image of several, as PNG and as bitmap; of two of the largest size, the one with fewer colors.
    names.extend(["sizes", "bitmap", "depths"].map(|n| format!("{n}.ico")));
    for name in names {
        let expected = decode(&format!("{}.expected.png", name.replace('.', "_")));
        let decoded = decode(&name);
        // All but JPEG decode exactly except for the rounding of alpha. JPEG decoders may differ in the rounding of the
        // inverse DCT and of the color conversion; CMYK has another multiplication.
        let tolerance = match name.as_str() {
            "cmyk.jpg" => 4,
            "sizes.ico" | "bitmap.ico" => 1,
            name if name.starts_with("alpha") => 1,
            name if name.ends_with("jpg") => 3,
            _ => 0,
        };
        let diff = max_abs_diff(&decoded, &expected);
        assert!(diff <= tolerance, "{name}: {diff}");
    }
}

/// A PNG of transparent red and opaque blue, with a palette.
const TRANSPARENT_PALETTE: &[u8] = b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x02\x00\x00\x00\x01\
        \x08\x03\x00\x00\x00\xc3\xfc\x8f\xb8\x00\x00\x00\x06\x50\x4c\x54\x45\xff\x00\x00\x00\x00\xff\x6c\
        \xa1\xfd\x8e\x00\x00\x00\x02\x74\x52\x4e\x53\x00\xff\x5b\x91\x22\xb5\x00\x00\x00\x0b\x49\x44\x41\
        \x54\x78\x9c\x63\x60\x60\x04\x00\x00\x04\x00\x02\xbf\x7a\x3f\x4a\x00\x00\x00\x00\x49\x45\x4e\x44\
        \xae\x42\x60\x82";

#[test]
fn transparency_is_composited_on_white() {
    let png = |image: image::DynamicImage| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    };
    let gray = |data: Vec<u8>| image::GrayAlphaImage::from_raw(2, 1, data).unwrap();
    let gray16 = |data: Vec<u16>| image::ImageBuffer::from_raw(2, 1, data).unwrap();
    let rgba16 = |data: Vec<u16>| image::ImageBuffer::from_raw(2, 1, data).unwrap();
    let cases = [
        (
            "gray 8",
            png(gray(vec![9, 0, 51, 255]).into()),
            [255, 255, 255, 51, 51, 51],
        ),
        (
            "gray 16",
            png(image::DynamicImage::ImageLumaA16(gray16(vec![
                9,
                0,
                51 * 257,
                65_535,
            ]))),
            [255, 255, 255, 51, 51, 51],
        ),
        (
            "color 16",
            png(image::DynamicImage::ImageRgba16(rgba16(vec![
                0, 0, 65_535, 0, 257, 514, 771, 65_535,
            ]))),
            [255, 255, 255, 1, 2, 3],
        ),
        (
            "palette",
            TRANSPARENT_PALETTE.to_vec(),
            [255, 255, 255, 0, 0, 255],
        ),
    ];
    for (name, bytes, expected) in cases {
        let image = decode_image(&bytes, name, &Limits::default()).unwrap();
        assert_eq!((image.width, image.height), (2, 1), "{name}");
        assert_eq!(image.rgb, expected, "{name}");
    }
}

#[test]
fn resized_pixels_equal_pillow() {
    let source = decode("source.png");
    for (width, height) in [(74, 52), (18, 13), (5, 61), (37, 9), (1, 1), (100, 30)] {
        let expected = decode(&format!("resized_{width}x{height}.png"));
        let diff = max_abs_diff(&resize(&source, width, height).unwrap(), &expected);
        // The fixed-point filters have different precision.
        assert!(diff <= 1, "{width}x{height}: {diff}");
    }
    assert!(resize(&source, 0, 5).is_err());
    let wrong_length = Image {
        width: 9,
        height: 9,
        rgb: vec![0; 5],
    };
    assert!(resize(&wrong_length, 3, 3).is_err());
}

#[test]
fn boxes_are_scaled_with_the_image() {
    let object = Object {
        class: 1,
        bbox: [10.0, 20.0, 30.0, 60.0],
        attributes: vec![2],
        crowd: true,
        area: 100.0,
    };
    let resized = resize_objects(std::slice::from_ref(&object), (100, 80), (200, 40));
    assert_eq!(resized[0].bbox, [20.0, 10.0, 60.0, 30.0]);
    assert_eq!(resized[0].area, 100.0);
    assert_eq!(
        (resized[0].class, resized[0].crowd, &resized[0].attributes),
        (1, true, &object.attributes)
    );
}

#[test]
fn target_sizes_equal_detr_and_soho() {
    let mut rng = rng(0, 0, 0, "resize");
    let detr = ResizeRule::Detr {
        short: vec![800],
        max: 1333,
    };
    let soho = ResizeRule::Soho {
        short: 600,
        max: 1000,
    };
    let cases = [
        // Image, DETR, SOHO.
        ((640, 480), (1066, 800), (800, 600)),
        ((480, 640), (800, 1066), (600, 800)),
        ((640, 427), (1199, 800), (899, 600)),
        ((1000, 300), (1333, 400), (1000, 300)),
        // Python rounds 1333 * 3 / 8 = 499.875 up and 666.5 to even.
        ((800, 300), (1333, 500), (1000, 375)),
        ((500, 250), (1332, 666), (1000, 500)),
        ((1066, 800), (1066, 800), (800, 600)),
        // DETR keeps an image whose short side is already the target.
        ((2000, 1), (2000, 1), (1000, 1)),
    ];
    for ((width, height), by_detr, by_soho) in cases {
        assert_eq!(
            detr.target_size(width, height, &mut rng),
            by_detr,
            "DETR {width}x{height}"
        );
        assert_eq!(
            soho.target_size(width, height, &mut rng),
            by_soho,
            "SOHO {width}x{height}"
        );
    }
    assert_eq!(
        ResizeRule::Square { side: 64 }.target_size(640, 480, &mut rng),
        (64, 64)
    );
    assert_eq!(
        ResizeRule::Exact {
            width: 8,
            height: 9
        }
        .target_size(640, 480, &mut rng),
        (8, 9)
    );
    assert_eq!(ResizeRule::Keep.target_size(640, 480, &mut rng), (640, 480));
    let within = ResizeRule::Within { side: 128 };
    for (size, target) in [
        ((640, 480), (128, 96)),
        ((480, 641), (96, 128)),
        ((5000, 3), (128, 1)),
        ((128, 128), (128, 128)),
        ((64, 20), (64, 20)),
    ] {
        assert_eq!(within.target_size(size.0, size.1, &mut rng), target);
    }
}

#[test]
fn detr_draws_every_short_side() {
    let rule = ResizeRule::Detr {
        short: vec![480, 512, 544],
        max: 1333,
    };
    let short_side = |key| rule.target_size(640, 640, &mut rng(1, 0, key, "resize")).0;
    let mut sizes: Vec<usize> = (0..60).map(short_side).collect();
    assert_eq!(short_side(5), short_side(5));
    sizes.sort_unstable();
    sizes.dedup();
    assert_eq!(sizes, [480, 512, 544]);
}

#[test]
fn resize_rules_are_serialized_and_checked() {
    let rule = ResizeRule::Detr {
        short: vec![480, 800],
        max: 1333,
    };
    let json = serde_json::to_string(&rule).unwrap();
    assert_eq!(json, r#"{"kind":"detr","short":[480,800],"max":1333}"#);
    assert_eq!(serde_json::from_str::<ResizeRule>(&json).unwrap(), rule);
    assert!(serde_json::from_str::<ResizeRule>(r#"{"kind":"square","size":3}"#).is_err());
    assert!(rule.check().is_ok());
    for rule in [
        ResizeRule::Detr {
            short: vec![],
            max: 9,
        },
        ResizeRule::Detr {
            short: vec![10],
            max: 9,
        },
        ResizeRule::Soho { short: 0, max: 9 },
        ResizeRule::Square { side: 0 },
        ResizeRule::Square {
            side: 1_000_000_000,
        },
    ] {
        assert!(
            matches!(rule.check(), Err(DataError::Config { .. })),
            "{rule:?}"
        );
    }
}

/// What follows the first frame of a GIF, or is before the largest image of an ICO, need not be complete.
#[test]
fn only_the_image_that_is_taken_must_be_complete() {
    let limits = Limits::default();
    let gif = data("animated.gif");
    let whole = decode_image(&gif, "animated.gif", &limits).unwrap();
    let complete = |len: &usize| decode_image(&gif[..*len], "cut.gif", &limits).is_ok();
    let first = (0..gif.len()).find(complete).unwrap();
    assert!(first < gif.len() - 200, "{first} of {} bytes", gif.len());
    for len in first..gif.len() {
        let cut = decode_image(&gif[..len], "cut.gif", &limits).unwrap();
        assert_eq!(cut, whole, "{len}");
    }
    // Without the largest image, the file is not one with a smaller image.
    for name in ["sizes.ico", "bitmap.ico"] {
        let ico = data(name);
        let largest = ico[6..54].chunks(16).find(|entry| entry[0] == 40).unwrap();
        let offset = u32::from_le_bytes(largest[12..].try_into().unwrap()) as usize;
        for len in [offset, offset + 20, offset + 60] {
            let error = decode_image(&ico[..len], name, &limits).unwrap_err();
            assert!(matches!(error, DataError::Decode { .. }), "{error}");
        }
    }
}

/// Rows of a BMP may be stored from the top, with a negative height.
#[test]
fn a_bitmap_with_rows_from_the_top_is_upright() {
    let mut bmp = data("rgb.bmp");
    let pixels = bmp.split_off(54);
    bmp[22..26].copy_from_slice(&(-16_i32).to_le_bytes());
    bmp.extend(pixels.chunks(24 * 3).rev().flatten());
    let limits = Limits::default();
    assert_eq!(
        decode_image(&bmp, "top.bmp", &limits).unwrap(),
        decode("rgb.bmp")
    );
}

#[test]
fn limits_are_checked_before_decoding() {
    // The header alone is sufficient.
    for (name, header) in [
        ("rgb.png", 40),
        ("rgb.jpg", 700),
        ("lossy.webp", 30),
        ("lossless.webp", 30),
        ("alpha_lossy.webp", 30),
        ("exif6.webp", 30),
        ("palette.gif", 150),
        ("rgb.bmp", 54),
    ] {
        let bytes = data(name);
        let start = &bytes[..header.min(bytes.len())];
        for limits in [
            Limits::default().with_max_side(20),
            Limits::default().with_max_pixels(100),
            Limits::default().with_min_side(17),
        ] {
            let error = decode_image(start, name, &limits).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            let error = decode_image(&bytes, name, &limits).unwrap_err();
            assert!(matches!(error, DataError::Limit { .. }), "{name}: {error}");
        }
    }
    for name in ["sizes.ico", "bitmap.ico"] {
        let limits = Limits::default().with_max_side(39);
        let error = decode_image(&data(name), name, &limits).unwrap_err();
        let is_limit = matches!(error, DataError::Limit { .. });
        assert!(is_limit && error.to_string().contains("40x40"), "{error}");
    }
    // A frame is larger than the screen, and a bitmap than its entry in the list of an ICO says.
    let mut gif = data("palette.gif");
    gif[6..10].copy_from_slice(&[1, 0, 1, 0]);
    let mut ico = data("bitmap.ico");
    let largest = ico[6..54].chunks(16).find(|entry| entry[0] == 40).unwrap();
    let offset = u32::from_le_bytes(largest[12..].try_into().unwrap()) as usize;
    ico[offset + 4..offset + 8].copy_from_slice(&60_000_u32.to_le_bytes());
    let limits = Limits::default().with_max_side(40).with_max_pixels(1000);
    for (bytes, size) in [(gif, "24x16"), (ico, "60000x40")] {
        let limits = match size {
            "24x16" => limits.clone().with_max_side(23),
            _ => limits.clone(),
        };
        let error = decode_image(&bytes, "forged", &limits).unwrap_err();
        assert!(
            matches!(error, DataError::Limit { .. }) && error.to_string().contains(size),
            "{error}"
        );
    }
}

/// The checksum of PNG (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift))
}

#[test]
fn palettes_that_end_within_a_color_are_errors() {
    let png = data("palette.png");
    let start = png.windows(4).position(|kind| kind == b"PLTE").unwrap();
    let len = u32::from_be_bytes(*png[start - 4..].first_chunk().unwrap()) as usize;
    let end = start + 4 + len;
    assert_eq!(png[end..end + 4], crc32(&png[start..end]).to_be_bytes());
    for cut in [1, 2] {
        let palette = &png[start..end - cut];
        let bad = [
            &png[..start - 4],
            &((len - cut) as u32).to_be_bytes(),
            palette,
            &crc32(palette).to_be_bytes(),
            &png[end + 4..],
        ]
        .concat();
        let error = decode_image(&bad, "bad.png", &Limits::default()).unwrap_err();
        let expected = format!("bad.png: PNG: a palette of {} bytes", len - cut);
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

#[test]
fn errors_of_truncated_images_name_them() {
    for name in [
        "rgb.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "rgb.png",
        "alpha.png",
        "lossy.webp",
        "lossless.webp",
        "alpha.webp",
        "alpha_lossy.webp",
        "exif6.webp",
        "palette.gif",
        "offset.gif",
        "rgb.bmp",
        "palette.bmp",
        "sizes.ico",
        "bitmap.ico",
    ] {
        let bytes = data(name);
        for percent in [0, 10, 30, 50, 70, 90] {
            let truncated = &bytes[..bytes.len() * percent / 100];
            let error = decode_image(truncated, name, &Limits::default());
            let error = error.expect_err(&format!("{name} truncated to {percent} %"));
            assert!(
                matches!(error, DataError::Decode { .. }) && error.to_string().contains(name),
                "{error}"
            );
        }
    }
    for (start, expected) in [
        (&b"II*\0"[..], "not a JPEG, PNG, WebP, GIF, BMP or ICO file"),
        (b"GIF89a", "GIF: the file ends before its first frame"),
        (b"GIF89a\x01\0\x01\0\0\0\0;", "GIF: no frame"),
        (
            b"GIF89a\x01\0\x01\0\0\0\0?",
            "GIF: a block of the unknown kind 0x3f",
        ),
        (
            b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\0\0\x05\0",
            "GIF: a first frame of 0x5",
        ),
        (b"\0\0\x01\0\0\0", "ICO: no image"),
        (
            b"\0\0\x01\0\x02\0",
            "ICO: the file ends within its list of images",
        ),
    ] {
        let error = decode_image(start, "a.png", &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("image a.png: {expected}"));
    }
    let error = decode_image(&data("animated.webp"), "a.webp", &Limits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "image a.webp: an animated WebP; only still images are supported"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn mutated_bytes_never_panic(
        which in 0usize..20,
        changes in prop::collection::vec((0.0f64..1.0, any::<u8>()), 1..12),
        cut in 0.3f64..1.4,
    ) {
        let name = [
            "rgb.jpg", "progressive.jpg", "cmyk.jpg", "exif6.jpg", "palette.png", "exif6.png", "lossy.webp",
            "lossless.webp", "alpha_lossy.webp", "exif6.webp", "animated.webp", "palette.gif", "animated.gif", "offset.gif",
            "beyond.gif", "rgb.bmp", "palette.bmp", "sizes.ico", "bitmap.ico", "depths.ico",
        ][which];
        let mut bytes = data(name);
        for (position, value) in changes {
            let index = (position * bytes.len() as f64) as usize;
            bytes[index] = value;
        }
        bytes.truncate((cut * bytes.len() as f64) as usize);
        let limits = Limits::default().with_max_pixels(1_000_000);
        match decode_image(&bytes, name, &limits) {
            Ok(image) => {
                prop_assert!(image.width * image.height <= 1_000_000);
                prop_assert_eq!(image.rgb.len(), image.width * image.height * 3);
            }
            Err(error) => prop_assert!(error.to_string().contains(name)),
        }
    }

    #[test]
    fn target_sizes_preserve_the_aspect_ratio(width in 1usize..3000, height in 1usize..3000, short in 1usize..900, more in 0usize..900) {
        let max = short + more;
        for rule in [ResizeRule::Detr { short: vec![short], max }, ResizeRule::Soho { short, max }] {
            let (w, h) = rule.target_size(width, height, &mut rng(0, 0, 0, "resize"));
            prop_assert!(w >= 1 && h >= 1);
            // DETR may exceed max by the rounding of the short side, at most half a pixel times the ratio.
            let ratio = width.max(height) as f64 / width.min(height) as f64;
            prop_assert!((w.max(h) as f64) <= max as f64 + ratio);
            if w > 1 && h > 1 {
                let (resized, original) = (w as f64 / h as f64, width as f64 / height as f64);
                prop_assert!((resized / original - 1.0).abs() <= 1.0 / (w.min(h) - 1) as f64 + 1e-9, "{resized} {original}");
            }
        }
    }
}
