//! The names of Visual Genome's objects and attributes as the vocabularies of bottom-up attention have them: the rules of
//! `data/genome/setup_vg.py` in `peteanderson80/bottom-up-attention`, by which the names were counted.

/// Adjectives that are attributes where they stand before the name of an object.
const ADJECTIVES: [&str; 19] = [
    "white", "black", "blue", "green", "red", "brown", "yellow", "small", "large", "silver",
    "wooden", "orange", "gray", "grey", "metal", "pink", "tall", "long", "dark",
];

/// In lower case, without surrounding white space and a period at the end.
pub(super) fn clean(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    name.trim_end().to_owned()
}

/// The class and the attributes in the name of an object: `white shirt` is a shirt that is white. Whether the vocabulary has
/// the whole name makes no difference; a name with any other word before the last one is a class as it is.
pub(super) fn class_and_attributes(name: &str) -> (String, Vec<String>) {
    let name = clean(name);
    let mut words: Vec<&str> = name.split_whitespace().collect();
    match words.pop() {
        Some(class) if words.iter().all(|word| ADJECTIVES.contains(word)) => (
            class.to_owned(),
            words.into_iter().map(str::to_owned).collect(),
        ),
        _ => (name, Vec::new()),
    }
}

/// The attributes in an attribute: `red and shiny` are two, `black and white` is one.
pub(super) fn attributes(name: &str) -> Vec<String> {
    let name = clean(name);
    if name == "black and white" {
        return vec![name];
    }
    let parts = name.split(" and ").map(|part| part.trim().to_owned());
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_at_the_end_is_no_part_of_a_name() {
        for (name, cleaned) in [
            (" Man. ", "man"),
            ("man .", "man"),
            ("man..", "man."),
            ("st. bernard", "st. bernard"),
            (".", ""),
            ("", ""),
        ] {
            assert_eq!(clean(name), cleaned, "{name:?}");
        }
    }

    #[test]
    fn leading_adjectives_are_attributes() {
        for (name, class, attributes) in [
            ("white shirt", "shirt", &["white"][..]),
            ("Small  White shirt.", "shirt", &["small", "white"]),
            ("white", "white", &[]),
            ("black white", "white", &["black"]),
            ("shirt", "shirt", &[]),
            ("tennis court", "tennis court", &[]),
            ("white tennis court", "white tennis court", &[]),
            ("old red car", "old red car", &[]),
            ("", "", &[]),
        ] {
            let (actual_class, actual) = class_and_attributes(name);
            assert_eq!(
                (actual_class.as_str(), &actual[..]),
                (
                    class,
                    &attributes
                        .iter()
                        .map(|a| (*a).to_owned())
                        .collect::<Vec<_>>()[..]
                ),
                "{name:?}"
            );
        }
    }

    #[test]
    fn attributes_are_divided_at_and() {
        for (name, expected) in [
            ("Red and shiny.", &["red", "shiny"][..]),
            ("red and white and blue", &["red", "white", "blue"]),
            ("black and white", &["black and white"]),
            ("Black and white.", &["black and white"]),
            ("white and black", &["white", "black"]),
            ("sandy", &["sandy"]),
        ] {
            assert_eq!(attributes(name), expected, "{name:?}");
        }
    }
}
