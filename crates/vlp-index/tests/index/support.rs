//! Small indices with embeddings that are functions of the sample.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use vlp_index::{IndexHeader, IndexWriter, IndexedImage, RunIdentity, Segment};

pub(crate) const DIM: usize = 8;

/// Numbers between -1 and 1 that follow from `seed` alone, of Euclidean length 1.
pub(crate) fn unit_vector(seed: u64, dim: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let numbers = (0..dim).map(|_| {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x14057b7ef767814f);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    });
    let numbers: Vec<f32> = numbers.collect();
    let norm = numbers
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt();
    numbers.iter().map(|value| value / norm).collect()
}

pub(crate) fn header(samples: usize) -> IndexHeader {
    IndexHeader {
        run: RunIdentity {
            path: "runs/first".into(),
            preset: "tiny".into(),
            step: 7,
            fingerprint: "0123456789abcdef".into(),
            dim: DIM,
        },
        data: vec!["data.source=\"scenes\"".into()],
        samples,
        thumbnail_side: 16,
    }
}

/// A segment of a writer with the samples `range`; sample 3 cannot be read, and every fourth text is "common".
pub(crate) fn segment(writer: &IndexWriter, range: std::ops::Range<usize>) -> Segment {
    let mut segment = writer.segment();
    for sample in range {
        if sample == 3 {
            segment.push_skipped("sample 3 is broken".into());
            continue;
        }
        let text = match sample % 4 {
            0 => "common".to_owned(),
            _ => format!("text {sample}"),
        };
        let image = IndexedImage {
            sample,
            key: 1000 + sample as u64,
            name: format!("{sample}.png"),
            pixel_hash: 7 * sample as u64,
        };
        let thumbnail = vec![sample as u8; sample + 1];
        let embedding = unit_vector(sample as u64, DIM);
        segment.push_image(image, &[text.clone(), text], &embedding, Some(thumbnail));
    }
    let rows = segment
        .texts()
        .iter()
        .map(|text| match text.strip_prefix("text ") {
            Some(number) => unit_vector(500 + number.parse::<u64>().unwrap(), DIM),
            None => unit_vector(999, DIM),
        });
    let rows = rows.collect::<Vec<_>>().concat();
    segment.set_text_embeddings(rows);
    segment
}

/// Writes what is left of an index, three samples at a time, at most `segments` segments; finishes it if all are written.
pub(crate) fn write(folder: &Path, samples: usize, segments: usize) {
    let mut writer = IndexWriter::open(folder, &header(samples)).unwrap();
    for _ in 0..segments {
        let start = writer.samples();
        let end = samples.min(start + 3);
        if start == end {
            return writer.finish().unwrap();
        }
        let segment = segment(&writer, start..end);
        writer.push(end - start, segment).unwrap();
    }
}

/// The files of a folder with their contents.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = entries.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    });
    files.collect()
}
