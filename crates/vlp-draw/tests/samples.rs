//! The page of a data set as a reader gets it: safe, complete, and the same each time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod markup;

use markup::{HOSTILE, assert_nothing_is_fetched, tags};
use proptest::prelude::*;
use vlp_draw::{
    BoxKind, DrawnBox, Histogram, Row, SampleCard, SamplePicture, SamplesPage, Table,
    render_samples,
};

/// A page that carries `text` wherever it carries text.
fn full(text: &str) -> SamplesPage {
    let t = || text.to_owned();
    let picture = || SamplePicture {
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
            pictures: vec![picture(), picture()],
            texts: vec![t(), t()],
            facts: vec![(t(), t())],
        }],
        histograms: vec![Histogram {
            title: t(),
            hint: t(),
            bars: vec![(t(), 3), (t(), 12), (t(), 0)],
        }],
        faults: Table {
            columns: vec![t(), t()],
            rows: vec![Row::from(vec![t(), t()])],
        },
        notes: vec![t()],
    }
}

#[test]
fn hostile_text_adds_no_markup() {
    let plain = render_samples(&full("word")).unwrap();
    let hostile = render_samples(&full(HOSTILE)).unwrap();
    assert_eq!(tags(&plain), tags(&hostile));
    assert!(!hostile.contains("<script") && hostile.contains("&lt;script&gt;"));
    assert_nothing_is_fetched(&plain);
}

#[test]
fn every_part_is_shown_and_empty_parts_are_not() {
    let page = render_samples(&full("word")).unwrap();
    let headings = ["Samples", "Counts", "Faults", "Notes"];
    for heading in headings {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    assert_eq!(page.matches("data:image/png").count(), 2);
    assert_eq!(page.matches("stroke-dasharray").count(), 2);
    for share in ["width:25.0%", "width:100.0%", "width:0.0%"] {
        assert!(page.contains(share), "{share}");
    }
    let mut bare = full("word");
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
fn the_same_page_gives_the_same_bytes() {
    let page = full("word");
    let bytes = render_samples(&page).unwrap();
    let json = serde_json::to_string(&page).unwrap();
    let again: SamplesPage = serde_json::from_str(&json).unwrap();
    assert_eq!(bytes, render_samples(&again).unwrap());
}

#[test]
fn errors_name_the_place() {
    let message = |change: &dyn Fn(&mut SamplesPage)| {
        let mut page = full("word");
        change(&mut page);
        render_samples(&page).unwrap_err().to_string()
    };
    let pixels = message(&|page| page.samples[0].pictures[1].rgb.clear());
    assert_eq!(
        pixels,
        "picture 0 (\"word\"): 0 bytes of RGB for 8x6 pixels; 144 are right"
    );
    let corner = message(&|page| page.samples[0].pictures[0].boxes[0].x0 = f32::NAN);
    assert!(corner.contains("box 0 (\"word\")"), "{corner}");
    let row = message(&|page| page.faults.rows[0].cells.clear());
    assert_eq!(row, "row 0 of a table has 0 cells; the table has 2 columns");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Any size and any box of finite corners is drawn, without a number that is none.
    #[test]
    fn odd_shapes_are_drawn(
        width in 1u32..400, height in 1u32..400, corner in (-500.0f32..500.0, -500.0f32..500.0),
        extent in (0.0f32..900.0, 0.0f32..900.0), counts in prop::collection::vec(any::<u64>(), 0..5),
    ) {
        let mut page = full("word");
        let picture = &mut page.samples[0].pictures[0];
        (picture.width, picture.height) = (width, height);
        picture.rgb = vec![3; (width * height * 3) as usize];
        let drawn = &mut picture.boxes[0];
        (drawn.x0, drawn.y0) = corner;
        (drawn.x1, drawn.y1) = (corner.0 + extent.0, corner.1 + extent.1);
        page.histograms[0].bars = counts.iter().map(|&count| ("bar".into(), count)).collect();
        // Without the pictures, whose bytes may spell anything.
        let html: String = render_samples(&page)
            .unwrap()
            .split("base64,")
            .map(|part| part.find(['"', '\'', ')']).map_or(part, |end| &part[end..]))
            .collect();
        prop_assert!(!html.contains("NaN") && !html.contains("inf\"") && !html.contains("inf%"));
    }
}
