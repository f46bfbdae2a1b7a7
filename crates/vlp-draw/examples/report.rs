//! Writes a report with made-up input: `cargo run -p vlp-draw --example report -- report.html`.
//!
//! No model is involved: curves are formulas, boxes and captions are written by hand.

use std::error::Error;

use vlp_draw::{
    BoxKind::{Predicted, Truth},
    Curve, DrawnBox, ImageCard, MaskedText, MaskedWord, Report, Row, Table, WordPrediction,
    render_report,
};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: report FILE.html")?;
    let facts = [
        ("preset", "example (made up)"),
        ("objectives", "masked words, matching, detection, captions"),
        ("steps", "20000"),
        ("wall time", "1 h 12 min"),
        ("device", "CPU, 16 threads"),
        ("seed", "7"),
    ];
    let report = Report {
        title: "Example report, all input made up".into(),
        summary: facts
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        metrics: metrics(),
        curves: curves(),
        images: images(),
        masked: masked(),
        config:
            "[train]\nsteps = 20_000\nbatch = 32\n\n[train.schedule]\nwarmup = 500\npeak = 1e-4\n"
                .into(),
        notes: vec![
            "3 of 10000 records skipped: image file missing.".into(),
            "captions longer than 40 tokens were truncated: 12.".into(),
        ],
    };
    std::fs::write(path, render_report(&report)?)?;
    Ok(())
}

fn metrics() -> Table {
    let row = |cells: [&str; 4], hint: Option<&str>| Row {
        cells: cells.map(str::to_owned).into(),
        hint: hint.map(str::to_owned),
    };
    Table {
        columns: ["Metric", "Start", "End", "Best"].map(str::to_owned).into(),
        rows: vec![
            row(
                ["Box AP, 0.50:0.95", "0.000", "0.214", "0.221"],
                Some("COCO, 100 detections; higher is better"),
            ),
            row(["Box AP, 0.50", "0.001", "0.398", "0.402"], None),
            row(
                ["CIDEr-D", "0.02", "0.87", "0.87"],
                Some("One reference per image"),
            ),
            row(
                ["Matching accuracy", "49.6%", "91.3%", "91.8%"],
                Some("Half of the pairs are negative: 50% is chance"),
            ),
            row(["Masked word accuracy", "0.3%", "61.0%", "61.0%"], None),
        ],
    }
}

fn curves() -> Vec<Curve> {
    // Deterministic noise: the fraction of a large sine.
    let noise = |i: f64| (i * 12.9898).sin() * 43_758.545 % 1.0;
    let decay = |from: f64, to: f64, rate: f64, rough: f64| -> Vec<(f64, f64)> {
        let value = |i: f64| to + (from - to) * (-i / rate).exp();
        (0..2000)
            .map(|i| f64::from(i) * 10.0)
            .map(|step| (step, value(step) * (1.0 + rough * noise(step))))
            .collect()
    };
    let mut broken = decay(1.4, 0.3, 9000.0, 0.2);
    for point in &mut broken[900..1000] {
        point.1 = f64::NAN;
    }
    let rate = |step: f64| if step < 500.0 { step / 500.0 } else { (20_000.0 - step) / 19_500.0 } * 1e-4;
    let curve = |name: &str, unit: &str, points| Curve {
        name: name.into(),
        unit: unit.into(),
        points,
    };
    vec![
        curve("Total", "", decay(19.0, 4.1, 4000.0, 0.12)),
        curve("Masked words", "nats", decay(9.1, 1.9, 4000.0, 0.15)),
        curve(
            "Image-text matching",
            "nats",
            decay(0.69, 0.21, 6000.0, 0.3),
        ),
        curve("Captions", "nats per token", decay(8.9, 1.4, 3000.0, 0.08)),
        curve(
            "Detection: box distance, a name too long for its chart",
            "",
            broken,
        ),
        curve(
            "Learning rate",
            "",
            (0..200)
                .map(|i| f64::from(i) * 100.0)
                .map(|step| (step, rate(step)))
                .collect(),
        ),
        curve(
            "Validation CIDEr-D",
            "",
            vec![(5e3, 0.31), (10e3, 0.62), (15e3, 0.81), (20e3, 0.87)],
        ),
        curve("One point", "", vec![(20e3, 0.5)]),
        curve("No points", "", vec![]),
    ]
}

/// A flat scene: a background and filled rectangles given as (x0, y0, x1, y1, color).
fn scene(width: u32, height: u32, shapes: &[(u32, u32, u32, u32, [u8; 3])]) -> Vec<u8> {
    let mut rgb = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let shape = shapes
            .iter()
            .rev()
            .find(|s| x >= s.0 && x < s.2 && y >= s.1 && y < s.3);
        let shade = (200 + y * 40 / height) as u8;
        rgb.extend(shape.map_or([shade, shade, shade - 20], |s| s.4));
    }
    rgb
}

fn drawn(corners: [f32; 4], label: &str, score: Option<f32>, detail: &str) -> DrawnBox {
    let [x0, y0, x1, y1] = corners;
    let kind = if score.is_some() { Predicted } else { Truth };
    DrawnBox {
        x0,
        y0,
        x1,
        y1,
        label: label.into(),
        score,
        kind,
        detail: detail.into(),
    }
}

fn images() -> Vec<ImageCard> {
    let (red, blue, green) = ([200, 60, 50], [50, 90, 190], [60, 150, 80]);
    let crowd = |i: u32| ((i % 5) * 60 + 12, (i / 5) * 56 + 10);
    let mut crowded: Vec<_> = (0..15)
        .map(|i| (crowd(i), [red, blue, green][i as usize % 3]))
        .collect();
    crowded.truncate(14);
    let names = ["square", "person", "traffic light"];
    vec![
        ImageCard {
            title: "64x64, agreeing boxes".into(),
            width: 64,
            height: 64,
            rgb: scene(64, 64, &[(6, 8, 26, 28, red), (36, 34, 60, 58, blue)]),
            boxes: vec![
                drawn([6.0, 8.0, 26.0, 28.0], "square", None, "red, small"),
                drawn([36.0, 34.0, 60.0, 58.0], "circle", None, "blue, large"),
                drawn([5.4, 7.1, 26.8, 28.3], "square", Some(0.97), "red 0.99"),
                drawn([34.0, 36.0, 59.0, 60.5], "circle", Some(0.81), "blue 0.92"),
                drawn(
                    [40.0, 2.0, 52.0, 12.0],
                    "triangle",
                    Some(0.12),
                    "green 0.31",
                ),
            ],
            captions: vec![(
                "a red square left of a blue circle".into(),
                "a small red square above a large blue circle".into(),
            )],
        },
        ImageCard {
            title: "320x180, boxes at and beyond the edges".into(),
            width: 320,
            height: 180,
            rgb: scene(
                320,
                180,
                &[
                    (0, 0, 60, 50, green),
                    (270, 130, 320, 180, red),
                    (120, 60, 200, 120, blue),
                ],
            ),
            boxes: vec![
                drawn([0.0, 0.0, 60.0, 50.0], "potted plant", None, ""),
                drawn([-8.0, -6.0, 58.0, 52.0], "potted plant", Some(0.88), ""),
                drawn(
                    [272.0, 128.0, 331.0, 190.0],
                    "dining table with a very long name that cannot fit",
                    Some(0.64),
                    "wooden, brown",
                ),
                drawn([120.0, 60.0, 200.0, 120.0], "tv", None, "flat, black"),
            ],
            captions: vec![
                (
                    "a plant and a table".into(),
                    "a plant stands in a corner, a table in the other".into(),
                ),
                (
                    String::new(),
                    "a television between a plant and a wooden table".into(),
                ),
            ],
        },
        ImageCard {
            title: "320x180, crowded".into(),
            width: 320,
            height: 180,
            rgb: scene(
                320,
                180,
                &crowded
                    .iter()
                    .map(|((x, y), c)| (*x, *y, x + 40, y + 40, *c))
                    .collect::<Vec<_>>(),
            ),
            boxes: crowded
                .iter()
                .enumerate()
                .flat_map(|(i, ((x, y), _))| {
                    let (x, y, label) = (*x as f32, *y as f32, names[i % 3]);
                    [
                        drawn([x, y, x + 40.0, y + 40.0], label, None, ""),
                        drawn(
                            [x + 2.0, y - 3.0, x + 43.0, y + 38.0],
                            label,
                            Some(0.99 - i as f32 * 0.06),
                            "",
                        ),
                    ]
                })
                .collect(),
            captions: vec![],
        },
        ImageCard {
            title: "60x150, upright".into(),
            width: 60,
            height: 150,
            rgb: scene(60, 150, &[(20, 30, 42, 140, blue)]),
            boxes: vec![
                drawn([20.0, 30.0, 42.0, 140.0], "person", None, "standing"),
                drawn(
                    [18.0, 33.0, 43.0, 138.0],
                    "person",
                    Some(0.91),
                    "standing 0.77",
                ),
            ],
            captions: vec![(
                "a person stands".into(),
                "a person in blue is standing".into(),
            )],
        },
    ]
}

fn masked() -> Vec<MaskedText> {
    let word = |text: &str| MaskedWord {
        text: text.into(),
        prediction: None,
    };
    let mask = |target: &str, candidates: &[(&str, f32)]| {
        let candidates = candidates
            .iter()
            .map(|(word, probability)| ((*word).into(), *probability))
            .collect();
        MaskedWord {
            text: "[MASK]".into(),
            prediction: Some(WordPrediction {
                target: target.into(),
                candidates,
            }),
        }
    };
    let mut first: Vec<_> = "a small".split(' ').map(word).collect();
    first.push(mask(
        "red",
        &[("red", 0.91), ("blue", 0.05), ("green", 0.02)],
    ));
    first.extend("square above a large blue".split(' ').map(word));
    first.push(mask(
        "circle",
        &[("square", 0.55), ("circle", 0.41), ("triangle", 0.03)],
    ));
    let mut second: Vec<_> = "a".split(' ').map(word).collect();
    second.push(mask(
        "television",
        &[("plant", 0.34), ("table", 0.21), ("television", 0.17)],
    ));
    second.extend("between a plant and a wooden table".split(' ').map(word));
    vec![
        MaskedText {
            image: Some(0),
            words: first,
        },
        MaskedText {
            image: Some(1),
            words: second,
        },
    ]
}
