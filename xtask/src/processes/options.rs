//! Words of a command line: options and names of scenarios.

/// The names. `option` gets each word that begins with two dashes and a function that reads the number after it, and returns
/// whether there is such an option.
///
/// # Errors
/// For an unknown option, or one without its number.
pub(crate) fn parse(
    words: &[&str],
    mut option: impl FnMut(&str, &mut dyn FnMut() -> Result<u64, String>) -> Result<bool, String>,
) -> Result<Vec<String>, String> {
    let mut names = vec![];
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        if !word.starts_with("--") {
            names.push(word.to_owned());
            continue;
        }
        let mut number = || {
            let value = words.next().and_then(|value| value.parse().ok());
            value.ok_or_else(|| format!("{word}: a number follows"))
        };
        if !option(word, &mut number)? {
            return Err(format!("no option {word}"));
        }
    }
    Ok(names)
}
