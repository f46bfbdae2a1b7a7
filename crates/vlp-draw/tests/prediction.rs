//! The page of predictions as a reader gets it: safe, complete, and the same each time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod markup;

use markup::{HOSTILE, assert_nothing_is_fetched, tags};
use vlp_draw::{
    BoxKind, CodeGrid, DrawnBox, Heat, PredictedPicture, PredictionPage, Question,
    render_prediction,
};

/// A page that carries `text` wherever it carries text.
fn full(text: &str) -> PredictionPage {
    let t = || text.to_owned();
    PredictionPage {
        title: t(),
        summary: vec![(t(), t())],
        pictures: vec![PredictedPicture {
            title: t(),
            width: 8,
            height: 6,
            rgb: vec![200; 8 * 6 * 3],
            boxes: vec![DrawnBox {
                x0: 1.0,
                y0: 1.0,
                x1: 6.0,
                y1: 5.0,
                label: t(),
                score: Some(0.5),
                kind: BoxKind::Predicted,
                detail: t(),
            }],
            captions: vec![(t(), -3.25)],
            questions: vec![Question {
                question: t(),
                answers: vec![(t(), 0.75), (t(), 0.001)],
            }],
            matches: vec![(t(), 0.5)],
            heats: vec![Heat {
                title: t(),
                rows: 2,
                columns: 3,
                weights: vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.0],
            }],
            codes: Some(CodeGrid {
                rows: 1,
                columns: 2,
                codes: vec![Some(4000), None],
            }),
        }],
        notes: vec![t()],
    }
}

fn message(change: impl Fn(&mut PredictedPicture)) -> String {
    let mut page = full("word");
    change(&mut page.pictures[0]);
    render_prediction(&page).unwrap_err().to_string()
}

#[test]
fn hostile_text_adds_no_markup() {
    let plain = render_prediction(&full("word")).unwrap();
    let hostile = render_prediction(&full(HOSTILE)).unwrap();
    assert_eq!(tags(&plain), tags(&hostile));
    assert!(!hostile.contains("<script") && hostile.contains("&lt;script&gt;"));
    assert_nothing_is_fetched(&plain);
}

#[test]
fn every_part_is_shown_and_empty_parts_are_not() {
    let headings = [
        "Objects",
        "Captions",
        "Question",
        "Does the text match?",
        "Heat maps",
        "Codes of the cells",
    ];
    let page = render_prediction(&full("word")).unwrap();
    for heading in headings {
        assert!(page.contains(&format!("<h3>{heading}")), "{heading}");
    }
    for figure in [
        "log p -3.25",
        ">0.75<",
        ">&lt;0.01<",
        ">0.400<",
        ">4000<",
        "width:75.0%",
    ] {
        assert!(page.contains(figure), "{figure}");
    }
    // The pixels once, the heat map and the codes by themselves.
    assert_eq!(page.matches("data:image/png").count(), 3);
    assert_eq!(page.matches("href=\"#pixels-0\"").count(), 2);

    let mut bare = full("word");
    let picture = &mut bare.pictures[0];
    *picture = PredictedPicture {
        title: "bare".into(),
        width: picture.width,
        height: picture.height,
        rgb: picture.rgb.clone(),
        ..PredictedPicture::default()
    };
    let page = render_prediction(&bare).unwrap();
    for heading in headings {
        assert!(!page.contains(&format!("<h3>{heading}")), "{heading}");
    }
    let empty = render_prediction(&PredictionPage::default()).unwrap();
    assert!(!empty.contains("<section"));
}

#[test]
fn the_same_page_gives_the_same_bytes() {
    let page = full("word");
    let bytes = render_prediction(&page).unwrap();
    assert_eq!(bytes, render_prediction(&page).unwrap());
    let json = serde_json::to_string(&page).unwrap();
    let again: PredictionPage = serde_json::from_str(&json).unwrap();
    assert_eq!(bytes, render_prediction(&again).unwrap());
}

#[test]
fn figures_that_are_not_finite_have_no_bar() {
    let mut page = full("word");
    let picture = &mut page.pictures[0];
    picture.captions = vec![("word".into(), f32::NEG_INFINITY)];
    picture.questions[0].answers = vec![("word".into(), f32::NAN)];
    picture.matches = vec![("word".into(), f32::INFINITY)];
    let html = render_prediction(&page).unwrap();
    for text in ["log p -inf", ">NaN<", ">inf<"] {
        assert!(html.contains(text), "{text}");
    }
    assert!(!html.contains("width:NaN") && !html.contains("width:inf"));
    assert_eq!(html.matches("style=\"width:0.0%\"").count(), 2);
}

#[test]
fn errors_name_the_place() {
    assert_eq!(
        message(|picture| picture.heats[0].weights[4] = f32::NAN),
        "picture 0 (\"word\"): heat map \"word\": the weight of row 1, column 1 is NaN; weights must be finite and 0 or more"
    );
    assert_eq!(
        message(|picture| picture.heats[0].columns = 2),
        "picture 0 (\"word\"): heat map \"word\": 6 values for a grid of 2x2 (rows x columns); 4 are right, both above 0"
    );
    assert_eq!(
        message(|picture| picture.codes = Some(CodeGrid::default())),
        "picture 0 (\"word\"): codes: 0 values for a grid of 0x0 (rows x columns); 0 are right, both above 0"
    );
    assert!(message(|picture| picture.rgb.clear()).contains("0 bytes of RGB for 8x6"));
    assert!(message(|picture| picture.boxes[0].x0 = f32::NAN).contains("box 0 (\"word\")"));
}

#[test]
fn odd_shapes_are_drawn() {
    let mut page = full("word");
    for (width, height, rows, columns) in [(1, 900, 90, 1), (900, 1, 1, 300), (1, 1, 1, 1)] {
        let picture = &mut page.pictures[0];
        (picture.width, picture.height) = (width, height);
        picture.rgb = vec![3; (width * height * 3) as usize];
        let cells = (rows * columns) as usize;
        picture.codes = Some(CodeGrid {
            rows,
            columns,
            codes: vec![Some(1); cells],
        });
        let heat = &mut picture.heats[0];
        (heat.rows, heat.columns, heat.weights) = (rows, columns, vec![0.0; cells]);
        let html = render_prediction(&page).unwrap();
        assert!(!html.contains("NaN") && !html.contains("inf\""));
    }
}
