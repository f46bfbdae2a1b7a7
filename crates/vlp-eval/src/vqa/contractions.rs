//! Contractions without their apostrophe, and the spelling the official VQA tool replaces them with.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Endings without and with the apostrophe, and the stems they follow.
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

/// Stems of `X'd've`, which the tool recognizes with one of the two apostrophes.
const D_HAVE: &str = "he it she somebody someone something there they we who you";

/// Stems of `Xn't've`, which the tool recognizes with one of the two apostrophes.
const NOT_HAVE: &str = "could had might should would";

/// Irregular ones. As in the official tool, `somebody'd` loses its apostrophe.
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

/// Contractions by their spelling without the apostrophe.
pub(super) static CONTRACTIONS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let mut map = HashMap::new();
    for (plain, ending, stems) in STEMS {
        for stem in stems.split(' ') {
            map.insert(format!("{stem}{plain}"), format!("{stem}{ending}"));
        }
    }
    for (stems, plain, ending) in [(D_HAVE, "d", "'d"), (NOT_HAVE, "nt", "n't")] {
        for stem in stems.split(' ') {
            let contraction = format!("{stem}{ending}'ve");
            map.insert(format!("{stem}{plain}'ve"), contraction.clone());
            map.insert(format!("{stem}{ending}ve"), contraction);
        }
    }
    map.extend(OTHERS.map(|(plain, contraction)| (plain.to_owned(), contraction.to_owned())));
    map
});
