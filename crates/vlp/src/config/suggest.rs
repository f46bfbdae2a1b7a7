//! The nearest known name of an unknown one.

/// `; did you mean "x"? Known: ...`, or `. Known: ...` where no name is similar.
pub(crate) fn suggest(name: &str, names: &[&str]) -> String {
    let similarity = |other: &&str| strsim::jaro_winkler(name, other);
    let nearest = names
        .iter()
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
        .filter(|other| similarity(other) > 0.7);
    let guess = nearest.map(|other| format!("; did you mean \"{other}\"?"));
    let names = names.join(", ");
    format!("{} Known: {names}", guess.unwrap_or_else(|| ".".into()))
}
