//! Writes a page of predictions with made-up input: `cargo run -p vlp-draw --example prediction -- prediction.html`.
//!
//! No model is involved: boxes, captions, answers and heat maps are written by hand.

use std::error::Error;

use vlp_draw::{
    AnsweredQuestion, BoxKind, CodeGrid, DrawnBox, Heatmap, PredictedImage, PredictionPage,
    render_prediction,
};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("usage: prediction FILE.html")?;
    let page = PredictionPage {
        title: "Example predictions, all input made up".into(),
        summary: [
            ("checkpoint", "none"),
            ("device", "CPU"),
            ("boxes", "score above 0.30"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into(),
        images: vec![full(), upright()],
        notes: vec!["broken.jpg was left out: the file ends early.".into()],
    };
    std::fs::write(path, render_prediction(&page)?)?;
    Ok(())
}

/// A sky and a meadow with a ball and a house.
fn scene(width: u32, height: u32) -> Vec<u8> {
    let pixel = |at: u32| {
        let (x, y) = (
            f64::from(at % width) / f64::from(width),
            f64::from(at / width) / f64::from(height),
        );
        let shade = |base: f64, by: f64| (base + by * y) as u8;
        if (x - 0.3).hypot((y - 0.72) * 0.75) < 0.1 {
            [205, 60, 50]
        } else if (0.58..0.86).contains(&x) && (0.42..0.8).contains(&y) {
            let window = (x * 25.0) as u32 % 3 == 1 && (y * 16.0) as u32 % 3 == 1;
            if window { [60, 70, 90] } else { [170, 130, 95] }
        } else if y > 0.62 {
            [shade(60.0, 40.0), shade(110.0, 50.0), 60]
        } else {
            [shade(120.0, 120.0), shade(170.0, 70.0), 235]
        }
    };
    (0..width * height).flat_map(pixel).collect()
}

fn drawn(corners: [f32; 4], label: &str, score: f32, detail: &str) -> DrawnBox {
    let [x0, y0, x1, y1] = corners;
    DrawnBox {
        x0,
        y0,
        x1,
        y1,
        label: label.into(),
        score: Some(score),
        kind: BoxKind::Predicted,
        detail: detail.into(),
    }
}

/// A heat map with one bump at (x, y) in 0..1.
fn heatmap(title: &str, (rows, columns): (u32, u32), (x, y): (f32, f32), spread: f32) -> Heatmap {
    let weight = |at: u32| {
        let dx = ((at % columns) as f32 + 0.5) / columns as f32 - x;
        let dy = ((at / columns) as f32 + 0.5) / rows as f32 - y;
        0.08 * (-(dx * dx + dy * dy) / (spread * spread)).exp() + 0.002
    };
    Heatmap {
        title: title.into(),
        rows,
        columns,
        weights: (0..rows * columns).map(weight).collect(),
    }
}

fn top(answers: &[(&str, f32)]) -> Vec<(String, f32)> {
    answers
        .iter()
        .map(|(text, value)| ((*text).into(), *value))
        .collect()
}

fn full() -> PredictedImage {
    let grid = (12, 16);
    let words = [
        ("a", (0.5, 0.5), 0.6),
        ("red", (0.3, 0.72), 0.1),
        ("ball", (0.3, 0.72), 0.14),
        ("in", (0.45, 0.7), 0.25),
        ("front", (0.5, 0.75), 0.2),
        ("of", (0.6, 0.6), 0.4),
        ("a", (0.7, 0.5), 0.5),
        ("house", (0.72, 0.6), 0.17),
    ];
    let codes = (0..grid.0 * grid.1).map(|at| {
        let (x, y) = (f64::from(at % grid.1) / 16.0, f64::from(at / grid.1) / 12.0);
        Some(if y > 0.6 {
            5
        } else {
            311 + usize::from(x > 0.55 && y > 0.4) * 700
        })
    });
    PredictedImage {
        title: "meadow.jpg".into(),
        width: 400,
        height: 300,
        rgb: scene(400, 300),
        boxes: vec![
            drawn([78.0, 174.0, 162.0, 258.0], "sports ball", 0.97, "red 0.98"),
            drawn(
                [230.0, 124.0, 346.0, 242.0],
                "house",
                0.88,
                "brown 0.71, wooden 0.40",
            ),
            drawn([0.0, 184.0, 400.0, 300.0], "grass", 0.52, "green 0.93"),
        ],
        captions: vec![
            ("a red ball in front of a house".into(), -6.31),
            ("a ball on the grass".into(), -7.9),
        ],
        questions: vec![
            AnsweredQuestion {
                question: "What color is the ball?".into(),
                answers: top(&[
                    ("red", 0.93),
                    ("orange", 0.05),
                    ("brown", 0.012),
                    ("white", 0.002),
                ]),
            },
            AnsweredQuestion {
                question: "How many houses are there?".into(),
                answers: top(&[
                    ("1", 0.81),
                    ("2", 0.14),
                    ("none of those that can be seen", 0.03),
                ]),
            },
        ],
        matches: top(&[
            (
                "a red ball lies on the grass in front of a house with many windows",
                0.94,
            ),
            ("two dogs run after a ball", 0.18),
            ("a kitchen", 0.001),
        ]),
        heatmaps: words
            .map(|(word, at, spread)| heatmap(word, grid, at, spread))
            .into(),
        codes: Some(CodeGrid {
            rows: grid.0,
            columns: grid.1,
            codes: codes.collect(),
        }),
    }
}

fn upright() -> PredictedImage {
    PredictedImage {
        title: "small.png, upright, no questions".into(),
        width: 48,
        height: 96,
        rgb: scene(48, 96),
        boxes: vec![drawn([28.0, 40.0, 41.0, 77.0], "house", 0.61, "")],
        captions: vec![(String::new(), -0.2)],
        heatmaps: vec![
            heatmap("query 3: house", (6, 3), (0.7, 0.6), 0.2),
            heatmap("nothing", (1, 1), (0.5, 0.5), 1.0),
        ],
        ..PredictedImage::default()
    }
}
