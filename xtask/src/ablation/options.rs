//! The command line.

use std::path::PathBuf;

const USAGE: &str =
    "usage: cargo xtask ablation e2e-vlp|soho|generalization [--seeds N] [--steps N] [--task-steps N]
       [--out DIR] [--only VARIANT,...] [--tasks TASK,...] [--device NAME] [--program FILE] [--jobs N] [--page FILE] [--report]";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    /// Name of the plan.
    pub(super) name: String,
    /// Seeds 1 to this one.
    pub(super) seeds: u64,
    /// Steps of pre-training instead of the plan's.
    pub(super) steps: Option<u64>,
    /// Steps of fine-tuning instead of the plan's.
    pub(super) task_steps: Option<u64>,
    /// Folder of all runs.
    pub(super) out: PathBuf,
    /// Variants; all if empty.
    pub(super) only: Vec<String>,
    /// Tasks; all if empty.
    pub(super) tasks: Vec<String>,
    pub(super) device: String,
    /// A `vlp` that is already built.
    pub(super) program: Option<PathBuf>,
    /// Runs at a time.
    pub(super) jobs: usize,
    /// The page; `page.md` in the folder of the runs by default.
    pub(super) page: PathBuf,
    /// Only writes the page of the runs that are finished.
    pub(super) report: bool,
}

impl Options {
    pub(super) fn parse(words: &[&str]) -> Result<Self, String> {
        let Some((name, words)) = words
            .split_first()
            .filter(|(name, _)| !name.starts_with('-'))
        else {
            return Err(USAGE.into());
        };
        let mut options = Self {
            name: (*name).to_owned(),
            seeds: 5,
            steps: None,
            task_steps: None,
            out: format!("runs/ablation-{name}").into(),
            only: vec![],
            tasks: vec![],
            device: "auto".into(),
            program: None,
            jobs: 1,
            page: PathBuf::new(),
            report: false,
        };
        let mut words = words.iter();
        while let Some(&option) = words.next() {
            if option == "--report" {
                options.report = true;
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{option}: a value follows"));
            let count = |value: &str| match value.parse::<u64>() {
                Ok(count) if count > 0 => Ok(count),
                _ => Err(format!("{option} {value}: give a number above 0")),
            };
            let list = |value: &str| value.split(',').map(str::to_owned).collect();
            match option {
                "--seeds" => options.seeds = count(value?)?,
                "--steps" => options.steps = Some(count(value?)?),
                "--task-steps" => options.task_steps = Some(count(value?)?),
                "--jobs" => options.jobs = count(value?)? as usize,
                "--out" => options.out = value?.into(),
                "--page" => options.page = value?.into(),
                "--program" => options.program = Some(value?.into()),
                "--device" => options.device = (*value?).to_owned(),
                "--only" => options.only = list(value?),
                "--tasks" => options.tasks = list(value?),
                _ => return Err(format!("no option {option}\n{USAGE}")),
            }
        }
        if options.page.as_os_str().is_empty() {
            options.page = options.out.join("page.md");
        }
        Ok(options)
    }

    /// The command that repeats the ablation, for the page.
    pub(super) fn command(&self) -> String {
        let mut command = format!("cargo xtask ablation {} --seeds {}", self.name, self.seeds);
        let steps = [("--steps", self.steps), ("--task-steps", self.task_steps)];
        for (option, value) in steps {
            if let Some(value) = value {
                command += &format!(" {option} {value}");
            }
        }
        for (option, names) in [("--only", &self.only), ("--tasks", &self.tasks)] {
            if !names.is_empty() {
                command += &format!(" {option} {}", names.join(","));
            }
        }
        if self.device != "auto" {
            command += &format!(" --device {}", self.device);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn options_are_read_and_written() {
        let words = "soho --seeds 3 --task-steps 20 --only plain,full --out a --device cuda";
        let words: Vec<&str> = words.split(' ').collect();
        let options = Options::parse(&words).unwrap();
        assert_eq!(
            (options.seeds, options.steps, options.task_steps),
            (3, None, Some(20))
        );
        assert_eq!(options.only, ["plain", "full"]);
        assert_eq!(options.page, PathBuf::from("a/page.md"));
        assert_eq!(
            options.command(),
            "cargo xtask ablation soho --seeds 3 --task-steps 20 --only plain,full --device cuda"
        );
        for (words, part) in [
            (&["soho", "--seed", "3"][..], "no option --seed"),
            (&["soho", "--seeds", "0"], "a number above 0"),
            (&["soho", "--seeds"], "a value follows"),
            (&["--seeds", "1"], "usage"),
            (&[], "usage"),
        ] {
            let error = Options::parse(words).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
