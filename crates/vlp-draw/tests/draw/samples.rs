//! The samples page: escaping, completeness, determinism, errors.

use crate::markup::assert_texts_are_escaped;
use proptest::prelude::*;
use vlp_draw::{
    BoxKind, DrawnBox, Histogram, Row, SampleCard, SampleImage, SamplesPage, Table, render_samples,
};

/// A page with `text` in every text field.
fn page_with_text(text: &str) -> SamplesPage {
    let t = || text.to_owned();
    let image = || SampleImage {
        width: 8,
        height: 6,
        rgb: vec![200; 8 * 6 * 3],
        boxes: vec![DrawnBox {
            x0: 1.0,
            y0: 1.0,
            x1: 6.0,
            y1: 5.0,
            label: t(),
            score: None,
            kind: BoxKind::Truth,
            detail: t(),
        }],
    };
    SamplesPage {
        title: t(),
        summary: vec![(t(), t())],
        samples: vec![SampleCard {
            title: t(),
            images: vec![image(), image()],
            texts: vec![t(), t()],
            facts: vec![(t(), t())],
        }],
        histograms: vec![Histogram {
            title: t(),
            hint: t(),
            bars: vec![(t(), 3), (t(), 12), (t(), 0)],
        }],
        issues: Table {
            columns: vec![t(), t()],
            rows: vec![Row::from(vec![t(), t()])],
        },
        notes: vec![t()],
    }
}

#[test]
fn markup_in_texts_is_escaped() {
    assert_texts_are_escaped(|text| render_samples(&page_with_text(text)).unwrap());
}

#[test]
fn nonempty_parts_have_a_section() {
    let page = render_samples(&page_with_text("word")).unwrap();
    let headings = ["Samples", "Counts", "Issues", "Notes"];
    for heading in headings {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    assert_eq!(page.matches("data:image/png").count(), 2);
    assert_eq!(page.matches("stroke-dasharray").count(), 2);
    for style in ["width:25.0%", "width:100.0%", "width:0.0%"] {
        assert!(page.contains(style), "{style}");
    }
    let mut bare = page_with_text("word");
    bare.samples[0] = SampleCard {
        texts: vec![String::new()],
        ..SampleCard::default()
    };
    let page = render_samples(&bare).unwrap();
    assert!(page.contains(">empty<") && !page.contains("data:image"));
    let empty = render_samples(&SamplesPage::default()).unwrap();
    assert!(!empty.contains("<section"));
    let bars = Histogram {
        bars: vec![("none".into(), 0)],
        ..Histogram::default()
    };
    let page = SamplesPage {
        histograms: vec![bars],
        ..SamplesPage::default()
    };
    assert!(render_samples(&page).unwrap().contains("width:0.0%"));
}

#[test]
fn rendering_is_deterministic() {
    let page = page_with_text("word");
    let bytes = render_samples(&page).unwrap();
    let json = serde_json::to_string(&page).unwrap();
    let parsed: SamplesPage = serde_json::from_str(&json).unwrap();
    assert_eq!(bytes, render_samples(&parsed).unwrap());
}

#[test]
fn errors_name_the_invalid_item() {
    let message = |change: &dyn Fn(&mut SamplesPage)| {
        let mut page = page_with_text("word");
        change(&mut page);
        render_samples(&page).unwrap_err().to_string()
    };
    let pixels = message(&|page| page.samples[0].images[1].rgb.clear());
    assert_eq!(
        pixels,
        "image 0 (\"word\"): 0 bytes of RGB for 8x6 pixels; expected 144"
    );
    let corner = message(&|page| page.samples[0].images[0].boxes[0].x0 = f32::NAN);
    assert!(corner.contains("box 0 (\"word\")"), "{corner}");
    let row = message(&|page| page.issues.rows[0].cells.clear());
    assert_eq!(row, "row 0 of a table has 0 cells; the table has 2 columns");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Any image size and finite box is rendered without NaN or infinite numbers.
    #[test]
    fn extreme_shapes_are_rendered(
        width in 1u32..400, height in 1u32..400, corner in (-500.0f32..500.0, -500.0f32..500.0),
        extent in (0.0f32..900.0, 0.0f32..900.0), counts in prop::collection::vec(any::<u64>(), 0..5),
    ) {
        let mut page = page_with_text("word");
        let image = &mut page.samples[0].images[0];
        (image.width, image.height) = (width, height);
        image.rgb = vec![3; (width * height * 3) as usize];
        let drawn = &mut image.boxes[0];
        (drawn.x0, drawn.y0) = corner;
        (drawn.x1, drawn.y1) = (corner.0 + extent.0, corner.1 + extent.1);
        page.histograms[0].bars = counts.iter().map(|&count| ("bar".into(), count)).collect();
        // Without the pixels, which may contain any text in Base64.
        let html: String = render_samples(&page)
            .unwrap()
            .split("base64,")
            .map(|part| part.find(['"', '\'', ')']).map_or(part, |end| &part[end..]))
            .collect();
        prop_assert!(!html.contains("NaN") && !html.contains("inf\"") && !html.contains("inf%"));
    }
}
