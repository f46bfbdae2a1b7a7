//! Writes a page of samples with made-up input: `cargo run -p vlp-draw --example samples -- samples.html`.

use std::error::Error;

use vlp_draw::{
    BoxKind, DrawnBox, Histogram, Row, SampleCard, SampleImage, SamplesPage, Table, render_samples,
};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: samples FILE.html")?;
    let text = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let samples = vec![
        SampleCard {
            title: "000000000139.jpg".into(),
            images: vec![image(320, 213, 3)],
            texts: texts(&[
                "three boxes on a gray background",
                "a red box left of two others",
                "boxes in a row",
            ]),
            facts: text(&[("sample", "0, image 139"), ("size", "640 x 426")]),
        },
        SampleCard {
            title: "COCO_val2014_000000262148.jpg".into(),
            images: vec![image(180, 240, 2)],
            texts: texts(&["How many boxes are there?"]),
            facts: text(&[
                ("question", "262148000, how many"),
                ("answers", "2 (9), 3 (1)"),
            ]),
        },
        SampleCard {
            title: "dev-850-0-0".into(),
            images: vec![image(260, 200, 4), image(200, 220, 1)],
            texts: texts(&["There are five boxes in total."]),
            facts: text(&[("label", "true")]),
        },
        SampleCard {
            title: "crowded.png, 64 x 64".into(),
            images: vec![image(64, 64, 14)],
            texts: texts(&[
                "",
                "a caption that is much longer than the others, so long that it takes several lines \
                of a card and shows how they are broken",
            ]),
            facts: text(&[("label", "neutral")]),
        },
    ];
    let bars = |bars: &[(&str, u64)]| bars.iter().map(|(name, n)| ((*name).into(), *n)).collect();
    let histogram = |title: &str, hint: &str, counts: &[(&str, u64)]| Histogram {
        title: title.into(),
        hint: hint.into(),
        bars: bars(counts),
    };
    let page = SamplesPage {
        title: "Example data set, all input made up".into(),
        summary: text(&[
            ("samples", "5000"),
            ("images", "4952"),
            ("captions", "25014"),
            ("boxes", "36781"),
            ("issues", "3"),
            ("in common with val", "0 images"),
        ]),
        samples,
        histograms: vec![
            histogram(
                "Words a caption",
                "median 10, 5 % below 8, 5 % above 15",
                &[
                    ("1 - 5", 12),
                    ("6 - 10", 14_301),
                    ("11 - 15", 9_482),
                    ("16 - 20", 1_020),
                    ("21 - 25", 199),
                ],
            ),
            histogram(
                "Boxes a sample",
                "median 4",
                &[("0", 48), ("1", 1203), ("2", 987), ("3", 2714)],
            ),
            histogram(
                "Classes",
                "80 classes, the first shown",
                &[
                    ("person", 11_004),
                    ("chair", 1_791),
                    ("car", 1_932),
                    ("a class name that is far too long for its column", 41),
                ],
            ),
        ],
        issues: Table {
            columns: ["File", "Record", "Reason"].map(str::to_owned).into(),
            rows: [
                [
                    "val2017/000000000632.jpg",
                    "sample 5, image 632",
                    "JPEG data: the file ends early",
                ],
                [
                    "captions_val2017.json",
                    "caption 6651",
                    "its text has no words",
                ],
                [
                    "instances_val2017.json",
                    "box 1773",
                    "its box [3, 4, 0, 9] has no area inside the image of 640x480",
                ],
            ]
            .map(|cells| Row::from(cells.map(str::to_owned).to_vec()))
            .into(),
        },
        notes: vec!["Images are shown at half their size.".into()],
    };
    std::fs::write(path, render_samples(&page)?)?;
    Ok(())
}

/// Boxes in rows on a gray background.
fn image(width: u32, height: u32, count: u32) -> SampleImage {
    let colors = [[200, 60, 50], [50, 90, 190], [60, 150, 80]];
    let names = ["square", "traffic light", "potted plant"];
    let columns = f64::from(count).sqrt().ceil() as u32;
    let (step_x, step_y) = (width / columns, height / count.div_ceil(columns));
    let corners = |i: u32| {
        let (x, y) = (i % columns * step_x, i / columns * step_y);
        [
            x + step_x / 6,
            y + step_y / 5,
            x + step_x - step_x / 6,
            y + step_y - step_y / 6,
        ]
    };
    let mut rgb = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let inside = (0..count).find(|&i| {
            let [x0, y0, x1, y1] = corners(i);
            (x0..x1).contains(&x) && (y0..y1).contains(&y)
        });
        let background = [(190 + y * 40 / height) as u8; 3];
        rgb.extend(inside.map_or(background, |i| colors[i as usize % 3]));
    }
    let boxes = (0..count).map(|i| {
        let [x0, y0, x1, y1] = corners(i).map(|side| side as f32);
        DrawnBox {
            x0,
            y0,
            x1,
            y1,
            label: names[i as usize % 3].into(),
            score: None,
            kind: BoxKind::Truth,
            detail: ["red, small", "", "green, large, in a very small pot"][i as usize % 3].into(),
        }
    });
    SampleImage {
        width,
        height,
        rgb,
        boxes: boxes.collect(),
    }
}
