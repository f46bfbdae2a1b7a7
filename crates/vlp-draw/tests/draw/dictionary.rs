//! The dictionary page: escaping, completeness, determinism, size, errors.

use crate::markup::assert_texts_are_escaped;
use vlp_draw::{
    CODES_SHOWN, CodeCard, CodeGrid, CodedImage, DictionaryPage, Patch, Table, code_colors,
    render_dictionary,
};

/// Three codes, the last one dead, with `text` in every text field.
fn page_with_text(text: &str) -> DictionaryPage {
    let t = || text.to_owned();
    let card = |code, uses| CodeCard {
        code,
        uses,
        patches: vec![patch(text, 4, 4, 7)],
        words: vec![(t(), 1.5), (t(), -0.5)],
    };
    DictionaryPage {
        title: t(),
        summary: vec![(t(), t())],
        metrics: Table {
            columns: vec![t(), t()],
            rows: vec![vec![t(), t()].into()],
        },
        word_measure: t(),
        codes: vec![card(0, 30), card(17, 70), card(5, 0)],
        images: vec![CodedImage {
            title: t(),
            width: 8,
            height: 6,
            rgb: vec![200; 8 * 6 * 3],
            grid: CodeGrid {
                rows: 2,
                columns: 2,
                codes: vec![Some(17), Some(0), None, Some(5)],
            },
            captions: vec![t()],
        }],
        notes: vec![t()],
    }
}

/// A patch of noise, which PNG does not compress.
fn patch(title: &str, width: u32, height: u32, seed: u32) -> Patch {
    let mut state = seed.wrapping_mul(2) + 1;
    let rgb = (0..width * height * 3).map(|_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    });
    Patch {
        title: title.into(),
        width,
        height,
        rgb: rgb.collect(),
    }
}

fn message(change: impl Fn(&mut DictionaryPage)) -> String {
    let mut page = page_with_text("word");
    change(&mut page);
    render_dictionary(&page).unwrap_err().to_string()
}

#[test]
fn markup_in_texts_is_escaped() {
    assert_texts_are_escaped(|text| render_dictionary(&page_with_text(text)).unwrap());
}

#[test]
fn nonempty_parts_have_a_section() {
    let page = render_dictionary(&page_with_text("word")).unwrap();
    let headings = ["Metrics", "Code usage", "Images", "Codes", "Notes"];
    for heading in headings {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    assert!(page.contains("70%") && page.contains("2 of 3"));
    assert!(page.contains("1 dead") && page.contains("<p class=\"dead-codes\">5</p>"));
    // exp(entropy of 0.7 and 0.3) = 1.842.
    assert!(page.contains("1.8 (61% of 3)"));
    let (first, second) = (page.find("id=\"code-17\""), page.find("id=\"code-0\""));
    assert!(first.unwrap() < second.unwrap(), "most used first");
    assert!(!page.contains("id=\"code-5\""), "a dead code has no card");
    assert!(!page.contains("href=\"#code-5\""), "nor a link to one");
    assert!(page.contains(&format!("background:{}", code_colors(18)[17])));

    let empty = render_dictionary(&DictionaryPage::default()).unwrap();
    assert!(!empty.contains("<h2>") && !empty.contains("<section"));
    let unused = DictionaryPage {
        codes: vec![CodeCard::default()],
        ..DictionaryPage::default()
    };
    let page = render_dictionary(&unused).unwrap();
    assert!(page.contains("0 of 1") && page.contains("1 dead"));
    assert!(!page.contains("NaN") && !page.contains("Perplexity"));
}

#[test]
fn rendering_is_deterministic() {
    let page = page_with_text("word");
    let mut reversed = page.clone();
    reversed.codes.reverse();
    let bytes = render_dictionary(&page).unwrap();
    assert_eq!(bytes, render_dictionary(&page).unwrap());
    assert_eq!(bytes, render_dictionary(&reversed).unwrap(), "in any order");
    let json = serde_json::to_string(&page).unwrap();
    let parsed: DictionaryPage = serde_json::from_str(&json).unwrap();
    assert_eq!(bytes, render_dictionary(&parsed).unwrap());
}

#[test]
fn non_finite_values_have_empty_bars() {
    let mut page = page_with_text("word");
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX];
    page.codes[0].words = values.map(|value| ("word".to_owned(), value)).into();
    let html = render_dictionary(&page).unwrap();
    for text in [">NaN<", ">inf<", ">-inf<", "width:100.0%"] {
        assert!(html.contains(text), "{text}");
    }
    assert!(!html.contains("width:NaN") && !html.contains("width:inf"));
}

#[test]
fn errors_name_the_invalid_item() {
    assert_eq!(
        message(|page| page.codes[2].code = 17),
        "code 17 is listed twice; a dictionary lists each code once"
    );
    assert_eq!(
        message(|page| page.images[0].grid.codes[1] = Some(99)),
        "image 0 (\"word\"): the grid feature in row 0, column 1 has code 99, which is not listed"
    );
    assert_eq!(
        message(|page| page.images[0].grid.rows = 3),
        "image 0 (\"word\"): codes: 4 values for a grid of 3x2 (rows x columns); expected 6, rows and columns above 0"
    );
    assert!(message(|page| page.images[0].grid = CodeGrid::default()).contains("0x0"));
    assert_eq!(
        message(|page| page.images[0].width = 0),
        "image 0 (\"word\"): size is 0x6 pixels; both must be above 0"
    );
    assert_eq!(
        message(|page| page.codes[1].patches[0].rgb.truncate(5)),
        "code 17, patch 0 (\"word\"): 5 bytes of RGB for 4x4 pixels; expected 48"
    );
    assert!(message(|page| page.metrics.rows[0].cells.clear()).contains("row 0"));
    // Codes are not checked against an empty list.
    let mut page = page_with_text("word");
    page.codes.clear();
    page.images[0].grid.codes[1] = Some(usize::MAX);
    assert!(render_dictionary(&page).is_ok());
}

#[test]
fn page_size_is_bounded_for_thousands_of_codes() {
    let count = 2048;
    let card = |code: usize| CodeCard {
        code,
        uses: (2000 / (code + 1)) as u64 * 50,
        patches: (0..10)
            .map(|i| patch("an image", 64, 48, (code * 16 + i) as u32))
            .collect(),
        words: vec![("word".into(), 1.0); 20],
    };
    let side = 224;
    let map = |index: usize| CodedImage {
        title: format!("image {index}"),
        width: side,
        height: side,
        rgb: vec![index as u8; (side * side * 3) as usize],
        grid: CodeGrid {
            rows: 14,
            columns: 14,
            codes: (0..196).map(|i| Some((i * 37 + index) % count)).collect(),
        },
        captions: vec![],
    };
    let page = DictionaryPage {
        codes: (0..count).map(card).collect(),
        images: (0..12).map(map).collect(),
        ..DictionaryPage::default()
    };
    let html = render_dictionary(&page).unwrap();
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
    assert_eq!(html.matches("<article").count(), CODES_SHOWN);
    assert!(html.contains("2,000 of 2,048") && html.contains("48 dead"));
    assert!(html.contains("1,936 less used codes"));
    assert!(html.contains("2000–2047"));
}
