//! Names in a command line or a file.

/// Fails for the first of `names` that is not among `all`.
pub(crate) fn check<N: AsRef<str>>(what: &str, names: &[N], all: &[&str]) -> Result<(), String> {
    let mut names = names.iter().map(AsRef::as_ref);
    match names.find(|name| !all.contains(name)) {
        None => Ok(()),
        Some(name) => Err(format!(
            "no {what} is named {name:?}; there are {}",
            all.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_unknown_name_is_told_with_those_that_there_are() {
        let all = ["kill", "term"];
        assert_eq!(check("scenario", &["term"], &all), Ok(()));
        let error = check("scenario", &["term", "kil"], &all).unwrap_err();
        assert_eq!(error, "no scenario is named \"kil\"; there are kill, term");
    }
}
