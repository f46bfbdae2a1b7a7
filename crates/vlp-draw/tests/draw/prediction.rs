//! The prediction page: escaping, completeness, determinism, errors.

use crate::markup::assert_texts_are_escaped;
use vlp_draw::{
    AnsweredQuestion, BoxKind, CodeGrid, DrawnBox, Heatmap, PredictedImage, PredictionPage,
    render_prediction,
};

/// A page with `text` in every text field.
fn page_with_text(text: &str) -> PredictionPage {
    let t = || text.to_owned();
    PredictionPage {
        title: t(),
        summary: vec![(t(), t())],
        images: vec![PredictedImage {
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
            questions: vec![AnsweredQuestion {
                question: t(),
                answers: vec![(t(), 0.75), (t(), 0.001)],
            }],
            matches: vec![(t(), 0.5)],
            heatmaps: vec![Heatmap {
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

fn message(change: impl Fn(&mut PredictedImage)) -> String {
    let mut page = page_with_text("word");
    change(&mut page.images[0]);
    render_prediction(&page).unwrap_err().to_string()
}

#[test]
fn markup_in_texts_is_escaped() {
    assert_texts_are_escaped(|text| render_prediction(&page_with_text(text)).unwrap());
}

#[test]
fn nonempty_parts_have_a_section() {
    let headings = [
        "Objects",
        "Captions",
        "Question",
        "Does the text match?",
        "Heat maps",
        "Codes of the grid features",
    ];
    let page = render_prediction(&page_with_text("word")).unwrap();
    for heading in headings {
        assert!(page.contains(&format!("<h3>{heading}")), "{heading}");
    }
    for text in [
        "log p -3.25",
        ">0.75<",
        ">&lt;0.01<",
        ">0.400<",
        ">4000<",
        "width:75.0%",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // The pixels, the heat map and the codes, once each.
    assert_eq!(page.matches("data:image/png").count(), 3);
    assert_eq!(page.matches("href=\"#pixels-0\"").count(), 2);

    let mut bare = page_with_text("word");
    let image = &mut bare.images[0];
    *image = PredictedImage {
        title: "bare".into(),
        width: image.width,
        height: image.height,
        rgb: image.rgb.clone(),
        ..PredictedImage::default()
    };
    let page = render_prediction(&bare).unwrap();
    for heading in headings {
        assert!(!page.contains(&format!("<h3>{heading}")), "{heading}");
    }
    let empty = render_prediction(&PredictionPage::default()).unwrap();
    assert!(!empty.contains("<section"));
}

#[test]
fn rendering_is_deterministic() {
    let page = page_with_text("word");
    let bytes = render_prediction(&page).unwrap();
    assert_eq!(bytes, render_prediction(&page).unwrap());
    let json = serde_json::to_string(&page).unwrap();
    let parsed: PredictionPage = serde_json::from_str(&json).unwrap();
    assert_eq!(bytes, render_prediction(&parsed).unwrap());
}

#[test]
fn non_finite_values_have_empty_bars() {
    let mut page = page_with_text("word");
    let image = &mut page.images[0];
    image.captions = vec![("word".into(), f32::NEG_INFINITY)];
    image.questions[0].answers = vec![("word".into(), f32::NAN)];
    image.matches = vec![("word".into(), f32::INFINITY)];
    let html = render_prediction(&page).unwrap();
    for text in ["log p -inf", ">NaN<", ">inf<"] {
        assert!(html.contains(text), "{text}");
    }
    assert!(!html.contains("width:NaN") && !html.contains("width:inf"));
    assert_eq!(html.matches("style=\"width:0.0%\"").count(), 2);
}

#[test]
fn errors_name_the_invalid_item() {
    assert_eq!(
        message(|image| image.heatmaps[0].weights[4] = f32::NAN),
        "image 0 (\"word\"): heat map \"word\": the weight of row 1, column 1 is NaN; weights must be finite and 0 or more"
    );
    assert_eq!(
        message(|image| image.heatmaps[0].columns = 2),
        "image 0 (\"word\"): heat map \"word\": 6 values for a grid of 2x2 (rows x columns); expected 4, rows and columns above 0"
    );
    assert_eq!(
        message(|image| image.codes = Some(CodeGrid::default())),
        "image 0 (\"word\"): codes: 0 values for a grid of 0x0 (rows x columns); expected 0, rows and columns above 0"
    );
    assert!(message(|image| image.rgb.clear()).contains("0 bytes of RGB for 8x6"));
    assert!(message(|image| image.boxes[0].x0 = f32::NAN).contains("box 0 (\"word\")"));
}

#[test]
fn extreme_shapes_are_rendered() {
    let mut page = page_with_text("word");
    for (width, height, rows, columns) in [(1, 900, 90, 1), (900, 1, 1, 300), (1, 1, 1, 1)] {
        let image = &mut page.images[0];
        (image.width, image.height) = (width, height);
        image.rgb = vec![3; (width * height * 3) as usize];
        let cells = (rows * columns) as usize;
        image.codes = Some(CodeGrid {
            rows,
            columns,
            codes: vec![Some(1); cells],
        });
        let heat = &mut image.heatmaps[0];
        (heat.rows, heat.columns, heat.weights) = (rows, columns, vec![0.0; cells]);
        let html = render_prediction(&page).unwrap();
        assert!(!html.contains("NaN") && !html.contains("inf\""));
    }
}
