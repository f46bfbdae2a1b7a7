//! The command line.

use crate::processes::options;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// How often `kill` kills a process.
    pub(super) kills: usize,
    /// Decides which process is killed when.
    pub(super) seed: u64,
    /// Whether missing Debian packages are installed.
    pub(super) install: bool,
    /// Whether the programs are built; else those of the last call are used.
    pub(super) build: bool,
    pub(super) names: Vec<String>,
}

impl Options {
    pub(super) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            kills: 5,
            seed: 1,
            install: false,
            build: true,
            names: vec![],
        };
        options.names = options::parse(words, |option, number| {
            match option {
                "--kills" => options.kills = number()? as usize,
                "--seed" => options.seed = number()?,
                "--install" => options.install = true,
                "--no-build" => options.build = false,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn options_and_names_are_read() {
        let options = Options::parse(&["kill", "--kills", "9", "--install", "term"]).unwrap();
        let expected = Options {
            kills: 9,
            seed: 1,
            install: true,
            build: true,
            names: vec!["kill".into(), "term".into()],
        };
        assert_eq!(options, expected);
        assert!(Options::parse(&["--kills"]).is_err());
        assert!(Options::parse(&["--kill", "9"]).is_err());
    }
}
