//! Contractions written without their apostrophe, and how the official VQA tool writes them.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Stems and the ending an apostrophe belongs into.
const STEMS: [(&str, &str, &str); 6] = [
    (
        "nt",
        "n't",
        "ai are ca could did does do had has have is might must need ought sha should was were wo would",
    ),
    (
        "ve",
        "'ve",
        "could might must not should they we what where who would you",
    ),
    (
        "d",
        "'d",
        "he how it someone something there they where who you",
    ),
    (
        "ll",
        "'ll",
        "how it somebody someone something they what who why you",
    ),
    ("re", "'re", "there they what why you"),
    (
        "s",
        "'s",
        "he how somebody someone that there what when where who why",
    ),
];

/// Stems of `X'd've`, written with one of the two apostrophes.
const D_HAVE: &str = "he it she somebody someone something there they we who you";

/// Stems of `Xn't've`, written with one of the two apostrophes.
const NOT_HAVE: &str = "could had might should would";

/// Others. `somebody'd` loses its apostrophe in the official tool, too.
const OTHERS: [(&str, &str); 13] = [
    ("maam", "ma'am"),
    ("oclock", "o'clock"),
    ("twas", "'twas"),
    ("ow's'at", "'ow's'at"),
    ("'ows'at", "'ow's'at"),
    ("'ow'sat", "'ow's'at"),
    ("somebody'd", "somebodyd"),
    ("yall", "y'all"),
    ("yall'll", "y'all'll"),
    ("y'allll", "y'all'll"),
    ("yall'd've", "y'all'd've"),
    ("y'alld've", "y'all'd've"),
    ("y'all'dve", "y'all'd've"),
];

/// Contraction by its spelling without an apostrophe.
pub(super) static CONTRACTIONS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let mut map = HashMap::new();
    for (plain, ending, stems) in STEMS {
        for stem in stems.split(' ') {
            map.insert(format!("{stem}{plain}"), format!("{stem}{ending}"));
        }
    }
    for (stems, plain, ending) in [(D_HAVE, "d", "'d"), (NOT_HAVE, "nt", "n't")] {
        for stem in stems.split(' ') {
            let whole = format!("{stem}{ending}'ve");
            map.insert(format!("{stem}{plain}'ve"), whole.clone());
            map.insert(format!("{stem}{ending}ve"), whole);
        }
    }
    map.extend(OTHERS.map(|(plain, whole)| (plain.to_owned(), whole.to_owned())));
    map
});
