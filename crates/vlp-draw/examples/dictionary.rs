//! Writes the page of a visual dictionary with made-up input:
//! `cargo run -p vlp-draw --example dictionary -- dictionary.html [CODES]`, by default with 64 codes.
//!
//! No model is involved: patches are formulas, uses follow a power law, words are random.

use std::error::Error;

use vlp_draw::{
    CodeCard, CodeGrid, CodedImage, DictionaryPage, Patch, Row, Table, render_dictionary,
};

const WORDS: [&str; 16] = [
    "red",
    "blue",
    "green",
    "square",
    "circle",
    "triangle",
    "large",
    "small",
    "grass",
    "sky",
    "left",
    "right",
    "above",
    "below",
    "wooden",
    "a-word-too-long-for-its-column",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: dictionary FILE.html [CODES]")?;
    let count: usize = args.next().map_or(Ok(64), |text| text.parse())?;
    let page = DictionaryPage {
        title: "Example dictionary, all input made up".into(),
        summary: [
            ("checkpoint", "none"),
            ("images", "1,000"),
            ("grid feature", "32x32 pixels"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into(),
        metrics: metrics(),
        word_measure: "PMI, nats".into(),
        codes: (0..count).map(|code| card(code, count)).collect(),
        images: (0..4).map(|i| map(i, count)).collect(),
        notes: vec!["Uses were counted in evaluation mode.".into()],
    };
    std::fs::write(path, render_dictionary(&page)?)?;
    Ok(())
}

fn metrics() -> Table {
    let row = |cells: [&str; 3], hint: &str| Row {
        cells: cells.map(str::to_owned).into(),
        hint: Some(hint.into()),
    };
    Table {
        columns: ["Metric", "Trained", "Random init"]
            .map(str::to_owned)
            .into(),
        rows: vec![
            row(
                ["Mutual information with shape", "0.71", "0.12"],
                "nats; at most 1.10 for three shapes",
            ),
            row(
                ["Mutual information with color", "1.32", "0.88"],
                "nats; at most 1.79 for six colors",
            ),
            row(
                ["Purity", "0.64", "0.29"],
                "fraction of grid features whose object is the most frequent of their code",
            ),
        ],
    }
}

/// A deterministic number in 0..1: the fraction of a large sine.
fn noise(i: usize, j: usize) -> f64 {
    ((i as f64 * 12.9898 + j as f64 * 78.233).sin() * 43_758.545)
        .abs()
        .fract()
}

fn card(code: usize, count: usize) -> CodeCard {
    let rank = 1.0 + noise(code, 1) * count as f64;
    let dead = noise(code, 2) < 0.07;
    CodeCard {
        code,
        uses: if dead {
            0
        } else {
            (4e5 / rank.powf(1.2)) as u64
        },
        patches: (0..8).map(|i| patch(code, i)).collect(),
        words: (0..5)
            .map(|i| {
                (
                    WORDS[(code * 7 + i * 5) % WORDS.len()].into(),
                    3.0 * noise(code, 3) * 0.7_f64.powi(i as i32) - 0.1,
                )
            })
            .collect(),
    }
}

fn patch(code: usize, i: usize) -> Patch {
    let side = 32;
    let ink = [3, 4, 5].map(|j| (noise(code, j) * 200.0) as u8);
    let rgb = (0..side * side).flat_map(|at| {
        let (x, y) = (f64::from(at % side) - 16.0, f64::from(at / side) - 16.0);
        let angle = noise(code, 6) * 3.0 + noise(code, i + 20) * 0.3;
        let edge = x * angle.cos() + y * angle.sin() + 8.0 * (noise(code, i + 9) - 0.5);
        let round = x.hypot(y) - 10.0;
        let inside = if code.is_multiple_of(2) {
            edge < 0.0
        } else {
            round < 0.0
        };
        let shade = (noise(at as usize, i) * 20.0) as u8;
        if inside {
            ink.map(|v| v + shade)
        } else {
            [225 - shade; 3]
        }
    });
    Patch {
        title: format!("image {i}"),
        width: side,
        height: side,
        rgb: rgb.collect(),
    }
}

fn map(i: usize, count: usize) -> CodedImage {
    let (width, height, rows, columns) = [
        (64, 64, 8, 8),
        (320, 240, 12, 16),
        (240, 320, 20, 15),
        (320, 240, 18, 24),
    ][i % 4];
    let shape = |x: f64, y: f64| {
        if (x - 0.35).hypot(y - 0.4) < 0.22 {
            1
        } else if (0.55..0.9).contains(&x) && (0.5..0.85).contains(&y) {
            2
        } else {
            usize::from(y > 0.75) * 3
        }
    };
    let inks = [[205, 215, 225], [200, 60, 50], [50, 90, 190], [90, 150, 80]];
    let center = |index: u32, count: u32| (f64::from(index) + 0.5) / f64::from(count);
    let rgb = (0..width * height)
        .flat_map(|at| inks[shape(center(at % width, width), center(at / width, height))]);
    let codes = (0..rows * columns).map(|at| {
        let (column, row) = (at % columns, at / columns);
        let shape_index = shape(center(column, columns), center(row, rows));
        let code = shape_index * 17
            + usize::from(noise(at as usize, i) < 0.2) * (1 + at as usize % 5) * count / 7;
        (i != 3 || column < columns - 2).then_some(code % count)
    });
    CodedImage {
        title: format!("image {i}, {columns}x{rows} grid features"),
        width,
        height,
        rgb: rgb.collect(),
        grid: CodeGrid {
            rows,
            columns,
            codes: codes.collect(),
        },
        captions: vec!["a red circle above a large blue square on grass".into(); 1 + i % 2],
    }
}
