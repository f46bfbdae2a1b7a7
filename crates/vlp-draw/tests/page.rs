//! The page as a reader gets it: safe, self-contained, complete, and the same each time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod markup;

use markup::{HOSTILE, assert_nothing_is_fetched, tags};
use proptest::prelude::*;
use vlp_draw::{
    BoxKind, Curve, DrawnBox, MaskedText, MaskedWord, PictureCard, Prediction, Report, Table,
    render,
};

/// A report that carries `text` wherever a report carries text.
fn full(text: &str) -> Report {
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
            rows: vec![
                vec_row(&[text, "0.5"], Some(text)),
                vec_row(&[text, text], None),
            ],
        },
        curves: vec![Curve {
            name: t(),
            unit: t(),
            points: vec![(0.0, 2.0), (1.0, 1.0)],
        }],
        pictures: vec![PictureCard {
            title: t(),
            width: 8,
            height: 6,
            rgb: vec![200; 8 * 6 * 3],
            boxes: vec![drawn(BoxKind::Truth), drawn(BoxKind::Predicted)],
            captions: vec![(t(), t())],
        }],
        masked: vec![MaskedText {
            picture: Some(0),
            words: vec![
                MaskedWord {
                    text: t(),
                    masked: None,
                },
                MaskedWord {
                    text: t(),
                    masked: Some(Prediction {
                        truth: t(),
                        top: vec![(t(), 0.75), (t(), 0.25)],
                    }),
                },
            ],
        }],
        config: t(),
        notes: vec![t()],
    }
}

fn vec_row(cells: &[&str], hint: Option<&str>) -> vlp_draw::Row {
    vlp_draw::Row {
        cells: cells.iter().map(ToString::to_string).collect(),
        hint: hint.map(str::to_owned),
    }
}

#[test]
fn hostile_text_adds_no_markup() {
    let (plain, hostile) = (
        render(&full("word")).unwrap(),
        render(&full(HOSTILE)).unwrap(),
    );
    // A column is aligned as numbers or not whatever the text; both texts are no numbers.
    assert_eq!(tags(&plain), tags(&hostile));
    assert!(!hostile.contains("<script"));
    assert!(hostile.contains("&lt;script&gt;"));
}

#[test]
fn nothing_is_fetched() {
    assert_nothing_is_fetched(&render(&full("word")).unwrap());
}

#[test]
fn every_part_is_shown_and_empty_parts_are_not() {
    let page = render(&full("word")).unwrap();
    for heading in [
        "Metrics",
        "Curves",
        "Pictures",
        "Masked words",
        "Configuration",
        "Notes",
    ] {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    assert!(page.contains("1 of 1 predicted right") && page.contains("stroke-dasharray"));
    assert!(!render(&Report::default()).unwrap().contains("<h2>"));
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    let report = full("word");
    assert_eq!(render(&report).unwrap(), render(&report.clone()).unwrap());
    let stored: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(stored, report);
}

#[test]
fn failed_runs_are_still_drawn() {
    let mut report = full("word");
    report.curves[0].points = vec![(0.0, f64::NAN), (f64::INFINITY, 1.0)];
    report.pictures[0].boxes[1].score = Some(f32::NAN);
    report.masked[0].words[1].masked.as_mut().unwrap().top[0].1 = f32::NAN;
    let page = render(&report).unwrap();
    assert!(page.contains("NaN") && page.contains("width:0.0%"));
}

#[test]
fn errors_name_the_place() {
    let message = |change: fn(&mut Report)| {
        let mut report = full("word");
        report.pictures[0].title = "val/7.jpg".into();
        change(&mut report);
        render(&report).unwrap_err().to_string()
    };
    assert_eq!(
        message(|report| report.pictures[0].rgb.truncate(9)),
        "picture 0 (\"val/7.jpg\"): 9 bytes of RGB for 8x6 pixels; 144 are right"
    );
    assert_eq!(
        message(|report| report.pictures[0].boxes[1].y1 = f32::INFINITY),
        "picture 0 (\"val/7.jpg\"): box 1 (\"word\") is (1, 1, 6, inf); corners must be finite pixels with x0 <= x1 and y0 <= y1"
    );
    assert!(message(|report| report.pictures[0].boxes[0].x1 = 0.0).contains("box 0"));
    assert_eq!(
        message(|report| report.metrics.rows[1] = vec!["a".to_owned()].into()),
        "row 1 of a table has 1 cells; the table has 2 columns"
    );
    assert_eq!(
        message(|report| report.masked[0].picture = Some(3)),
        "masked text 0 refers to picture 3; the report has 1 (counted from 0)"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_leaves_the_markup_alone(text in "[^0-9. ][<>\"'&/=a-z \u{0}-\u{20}]{0,40}x") {
        prop_assert_eq!(tags(&render(&full("word")).unwrap()), tags(&render(&full(&text)).unwrap()));
    }
}
