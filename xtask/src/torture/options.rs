//! The command line.

use crate::processes::options;

/// The test that some options are about.
pub(super) const FUZZ: &str = "fuzz";
/// Others.
pub(super) const MEMORY: &str = "memory";
pub(super) const UNSAFE: &str = "unsafe";

/// Seed where none is given.
const SEED: u64 = 1;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Whether as much is tried as by hand, or as little as in continuous integration.
    pub(super) long: bool,
    /// Decides all that is random.
    pub(super) seed: u64,
    /// Whether the program is built; else that of the last build is used.
    pub(super) build: bool,
    /// Whether the messages about bad files are written instead of compared.
    pub(super) write_messages: bool,
    /// Inputs of each fuzz target, instead of as many as by hand or in the short form.
    pub(super) inputs: Option<u64>,
    /// Minutes of the runs of `memory`, instead of as many as by hand or in the short form.
    pub(super) minutes: Option<u64>,
    /// Whether what builds burn anew is left out: some fuzz targets, and the address sanitizer of `unsafe`.
    pub(super) no_burn: bool,
    pub(super) names: Vec<String>,
}

impl Options {
    pub(super) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            long: false,
            seed: SEED,
            build: true,
            write_messages: false,
            inputs: None,
            minutes: None,
            no_burn: false,
            names: vec![],
        };
        options.names = options::parse(words, |option, number| {
            match option {
                "--long" => options.long = true,
                "--no-build" => options.build = false,
                "--write-messages" => options.write_messages = true,
                "--seed" => options.seed = number()?,
                "--no-burn" => options.no_burn = true,
                "--inputs" => options.inputs = Some(number()?),
                "--minutes" => options.minutes = Some(number()?.max(1)),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        if options.write_messages && !options.long {
            return Err("--write-messages: needs --long, which tries all bad files".into());
        }
        Ok(options)
    }

    /// The words by which a test differed from one by `--long` alone.
    pub(super) fn words_of(&self, test: &str) -> String {
        let seed = Some(self.seed).filter(|seed| *seed != SEED);
        let seed = seed.map(|seed| format!(" --seed {seed}"));
        let no_burn = match self.no_burn && [FUZZ, UNSAFE].contains(&test) {
            true => " --no-burn",
            false => "",
        };
        let inputs = self.inputs.filter(|_| test == FUZZ);
        let inputs = inputs.map(|count| format!(" --inputs {count}"));
        let minutes = self.minutes.filter(|_| test == MEMORY);
        let minutes = minutes.map(|count| format!(" --minutes {count}"));
        let counts = [seed, inputs, minutes].into_iter().flatten();
        counts.fold(no_burn.to_owned(), |words, count| words + &count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn options_and_names_are_read() {
        let options = Options::parse(&[
            "kill",
            "--long",
            "--seed",
            "9",
            "power",
            "--inputs",
            "5",
            "--no-burn",
        ])
        .unwrap();
        let expected = Options {
            long: true,
            seed: 9,
            build: true,
            write_messages: false,
            inputs: Some(5),
            minutes: None,
            no_burn: true,
            names: vec!["kill".into(), "power".into()],
        };
        assert_eq!(options, expected);
        assert_eq!(options.words_of("fuzz"), " --no-burn --seed 9 --inputs 5");
        assert_eq!(options.words_of("kill"), " --seed 9");
        let usual = Options::parse(&["--long", "kill"]).unwrap();
        assert_eq!(usual.words_of("kill"), "");
        assert!(Options::parse(&["--seed"]).is_err());
        assert!(Options::parse(&["--short"]).is_err());
        assert!(Options::parse(&["--write-messages"]).is_err());
    }
}
