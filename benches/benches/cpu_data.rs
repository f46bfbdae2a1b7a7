//! Work outside the model: images, tokenization, assignment, metrics.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use image::codecs::jpeg::JpegEncoder;
use vlp_assign::Hungarian;
use vlp_data::transform::{normalize, resize};
use vlp_data::{Examples, Limits, ResizeRule, decode_image};
use vlp_eval::caption::{CaptionPair, caption_scores};
use vlp_eval::coco_ap::{Detection, GroundTruth, evaluate};
use vlp_eval::retrieval::retrieval;
use vlp_eval::vqa::{VqaAnnotation, VqaResult, vqa_accuracy};
use vlp_scenes::{Scenes, ScenesConfig};
use vlp_text::WordPieceTokenizer;

const CAPTION: &str = "A man riding a wave on top of a surfboard.";

/// Numbers in 0..1 that look random.
fn noise(index: usize) -> f64 {
    let mixed = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as f64 / (1u64 << 24) as f64
}

fn images(c: &mut Criterion) {
    let (width, height) = (640, 480);
    let rgb: Vec<u8> = (0..3 * width * height)
        .map(|i| ((i / 3 % width) / 4) as u8 + (64.0 * noise(i)) as u8)
        .collect();
    let mut jpeg = vec![];
    JpegEncoder::new_with_quality(&mut jpeg, 90)
        .encode(
            &rgb,
            width as u32,
            height as u32,
            image::ExtendedColorType::Rgb8,
        )
        .expect("the image fits");
    let decode = || decode_image(black_box(&jpeg), "image", &Limits::default());
    let image = decode().expect("a JPEG");
    let mut group = c.benchmark_group("image of 640x480");
    group.bench_function("decode JPEG", |b| b.iter(|| decode().expect("a JPEG")));
    group.bench_function("resize to 512x384", |b| {
        b.iter(|| resize(&image, 512, 384).expect("an image"))
    });
    group.bench_function("normalize", |b| b.iter(|| normalize(black_box(&image))));
    drop(group);
    let scenes = Scenes::new(ScenesConfig::default()).expect("the default is valid");
    let examples = Examples::new(Arc::new(scenes), ResizeRule::Keep);
    let mut index = 0;
    c.bench_function("scene of 64 pixels", |b| {
        b.iter(|| {
            index = (index + 1) % 10_000;
            examples.load(index, 0).expect("an image")
        })
    });
}

fn texts(c: &mut Criterion) {
    let pieces = WordPieceTokenizer::bert_uncased();
    let mut group = c.benchmark_group("tokenizer");
    group.bench_function("encode a caption", |b| {
        b.iter(|| pieces.encode(black_box(CAPTION), 40))
    });
    let ids = pieces.encode(CAPTION, 40).ids;
    group.bench_function("decode a caption", |b| {
        b.iter(|| pieces.decode(black_box(&ids)))
    });
}

fn assignment(c: &mut Criterion) {
    let cost: Vec<f64> = (0..100 * 20).map(noise).collect();
    let mut solver = Hungarian::default();
    c.bench_function("assignment/100 queries to 20 objects", |b| {
        b.iter(|| {
            solver
                .assign(black_box(&cost), 100, 20)
                .expect("finite costs")
        })
    });
}

fn metrics(c: &mut Criterion) {
    let mut group = c.benchmark_group("metric");
    let bbox = |i: usize| [noise(i), noise(i + 1), noise(i + 2), noise(i + 3)].map(|x| 300.0 * x);
    let images: Vec<u64> = (0..200).collect();
    let truths: Vec<GroundTruth> = (0..1400)
        .map(|i| GroundTruth {
            image_id: i as u64 % 200,
            category_id: i as u32 % 20,
            bbox: bbox(5 * i),
            area: bbox(5 * i)[2] * bbox(5 * i)[3],
            crowd: false,
        })
        .collect();
    let detections: Vec<Detection> = (0..14_000)
        .map(|i| Detection {
            image_id: i as u64 % 200,
            category_id: i as u32 % 20,
            bbox: bbox(5 * (i % 1400)).map(|x| x + noise(i)),
            score: noise(3 * i),
        })
        .collect();
    group.bench_function("COCO AP, 14000 detections in 200 images", |b| {
        b.iter(|| evaluate(&images, &truths, &detections).expect("valid records"))
    });

    let references: Vec<Vec<String>> = (0..200)
        .map(|i| {
            (0..5)
                .map(|j| format!("{CAPTION} {} {j}", i % 37))
                .collect()
        })
        .collect();
    let pairs: Vec<CaptionPair<'_>> = references
        .iter()
        .map(|references| CaptionPair {
            hypothesis: CAPTION,
            references,
        })
        .collect();
    group.bench_function("BLEU, ROUGE-L and CIDEr-D of 200 captions", |b| {
        b.iter(|| caption_scores(&pairs).expect("valid records"))
    });

    let similarity: Vec<f32> = (0..500 * 2500).map(|i| noise(i) as f32).collect();
    let text_image: Vec<usize> = (0..2500).map(|text| text / 5).collect();
    group.bench_function("retrieval, 500 images and 2500 texts", |b| {
        b.iter(|| retrieval(&similarity, 500, &text_image).expect("valid records"))
    });

    let annotations: Vec<VqaAnnotation> = (0..1000)
        .map(|question_id| VqaAnnotation {
            question_id,
            question_type: "what is".into(),
            answer_type: "other".into(),
            answers: (0..10).map(|i| format!("a red ball{}", i % 3)).collect(),
        })
        .collect();
    let answers: Vec<VqaResult> = (0..1000)
        .map(|question_id| VqaResult {
            question_id,
            answer: "The red ball1.".into(),
        })
        .collect();
    group.bench_function("VQA accuracy of 1000 questions", |b| {
        b.iter(|| vqa_accuracy(&annotations, &answers).expect("valid records"))
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = images, texts, assignment, metrics
}
criterion_main!(benches);
