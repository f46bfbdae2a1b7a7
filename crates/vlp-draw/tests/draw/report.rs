//! The report page: escaping, self-containedness, completeness, determinism, errors.

use crate::markup::{assert_self_contained, assert_texts_are_escaped, tags};
use proptest::prelude::*;
use vlp_draw::{
    BoxKind, Curve, DrawnBox, ImageCard, MaskedText, MaskedWord, Report, Table, WordPrediction,
    render_report,
};

/// A report with `text` in every text field.
fn page_with_text(text: &str) -> Report {
    let t = || text.to_owned();
    let drawn = |kind| DrawnBox {
        x0: 1.0,
        y0: 1.0,
        x1: 6.0,
        y1: 5.0,
        label: t(),
        score: Some(0.5),
        kind,
        detail: t(),
    };
    Report {
        title: t(),
        summary: vec![(t(), t())],
        metrics: Table {
            columns: vec![t(), t()],
            rows: vec![row(&[text, "0.5"], Some(text)), row(&[text, text], None)],
        },
        curves: vec![Curve {
            name: t(),
            unit: t(),
            points: vec![(0.0, 2.0), (1.0, 1.0)],
        }],
        images: vec![ImageCard {
            title: t(),
            width: 8,
            height: 6,
            rgb: vec![200; 8 * 6 * 3],
            boxes: vec![drawn(BoxKind::Truth), drawn(BoxKind::Predicted)],
            captions: vec![(t(), t())],
        }],
        masked: vec![MaskedText {
            image: Some(0),
            words: vec![
                MaskedWord {
                    text: t(),
                    prediction: None,
                },
                MaskedWord {
                    text: t(),
                    prediction: Some(WordPrediction {
                        target: t(),
                        candidates: vec![(t(), 0.75), (t(), 0.25)],
                    }),
                },
            ],
        }],
        config: t(),
        notes: vec![t()],
    }
}

fn row(cells: &[&str], hint: Option<&str>) -> vlp_draw::Row {
    vlp_draw::Row {
        cells: cells.iter().map(ToString::to_string).collect(),
        hint: hint.map(str::to_owned),
    }
}

#[test]
fn markup_in_texts_is_escaped() {
    // Columns of numbers have a class; neither text is a number.
    assert_texts_are_escaped(|text| render_report(&page_with_text(text)).unwrap());
}

#[test]
fn page_is_self_contained() {
    assert_self_contained(&render_report(&page_with_text("word")).unwrap());
}

#[test]
fn nonempty_parts_have_a_section() {
    let page = render_report(&page_with_text("word")).unwrap();
    for heading in [
        "Metrics",
        "Curves",
        "Images",
        "Masked words",
        "Configuration",
        "Notes",
    ] {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    assert!(page.contains("1 of 1 predicted correctly") && page.contains("stroke-dasharray"));
    assert!(!render_report(&Report::default()).unwrap().contains("<h2>"));
}

#[test]
fn rendering_is_deterministic() {
    let report = page_with_text("word");
    assert_eq!(
        render_report(&report).unwrap(),
        render_report(&report.clone()).unwrap()
    );
    let stored: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(stored, report);
}

#[test]
fn non_finite_values_are_rendered() {
    let mut report = page_with_text("word");
    report.curves[0].points = vec![(0.0, f64::NAN), (f64::INFINITY, 1.0)];
    report.images[0].boxes[1].score = Some(f32::NAN);
    report.masked[0].words[1]
        .prediction
        .as_mut()
        .unwrap()
        .candidates[0]
        .1 = f32::NAN;
    let page = render_report(&report).unwrap();
    assert!(page.contains("NaN") && page.contains("width:0.0%"));
}

#[test]
fn errors_name_the_invalid_item() {
    let message = |change: fn(&mut Report)| {
        let mut report = page_with_text("word");
        report.images[0].title = "val/7.jpg".into();
        change(&mut report);
        render_report(&report).unwrap_err().to_string()
    };
    assert_eq!(
        message(|report| report.images[0].rgb.truncate(9)),
        "image 0 (\"val/7.jpg\"): 9 bytes of RGB for 8x6 pixels; expected 144"
    );
    assert_eq!(
        message(|report| report.images[0].boxes[1].y1 = f32::INFINITY),
        "image 0 (\"val/7.jpg\"): box 1 (\"word\") is (1, 1, 6, inf); corners must be finite pixels with x0 <= x1 and y0 <= y1"
    );
    assert!(message(|report| report.images[0].boxes[0].x1 = 0.0).contains("box 0"));
    assert_eq!(
        message(|report| report.metrics.rows[1] = vec!["a".to_owned()].into()),
        "row 1 of a table has 1 cells; the table has 2 columns"
    );
    assert_eq!(
        message(|report| report.masked[0].image = Some(3)),
        "masked text 0 refers to image 3 (counted from 0); the report has 1 images"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_escaped(text in "[^0-9. ][<>\"'&/=a-z \u{0}-\u{20}]{0,40}x") {
        prop_assert_eq!(tags(&render_report(&page_with_text("word")).unwrap()), tags(&render_report(&page_with_text(&text)).unwrap()));
    }
}
