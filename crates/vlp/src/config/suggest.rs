//! Messages about unknown names, with the nearest known one.

/// serde's error message with the nearest known name for an unknown one.
pub(super) fn describe_error(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let what = match message {
        _ if message.contains("unknown field") => "key",
        _ if message.contains("unknown variant") => "value",
        // serde says what is wrong on one line and where on the next.
        _ => {
            return match message.trim().rsplit_once("\nin `") {
                Some((problem, key)) => format!("{}: {problem}", key.trim_end_matches('`')),
                None => message.trim().to_string(),
            };
        }
    };
    let Some((unknown, names)) = quoted.split_first() else {
        return message.trim().to_string();
    };
    let mut lines = message.lines();
    let table = lines.find_map(|line| line.trim().strip_prefix("in `"));
    let table = table.map(|table| table.trim_end_matches('`'));
    let names: Vec<&str> = (names.iter().copied())
        .filter(|name| Some(*name) != table)
        .collect();
    let within = table.map(|table| format!(" in [{table}]"));
    format!(
        "unknown {what} \"{unknown}\"{}{}",
        within.unwrap_or_default(),
        suggest(unknown, &names)
    )
}

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
