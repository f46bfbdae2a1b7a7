//! Training with several processes, tried with real launchers: equal results, failures, hosts, Slurm.

mod equal;
mod hosts;
mod job;
mod kill;
mod lab;
mod misuse;
mod mpich;
mod network;
mod options;
mod random;
mod resume;
mod run_files;
pub(crate) mod scale;
mod slurm;
mod slurm_daemons;
mod term;

use std::path::Path;
use std::time::{Duration, Instant};

use lab::Lab;
use options::Options;

/// Why a scenario has not passed.
#[derive(Debug)]
enum Failure {
    Failed(String),
    /// It cannot run on this machine.
    Skipped(String),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

type Outcome = Result<(), Failure>;

/// Name, what it shows, and how.
struct Scenario {
    name: &'static str,
    shows: &'static str,
    run: fn(&Lab) -> Outcome,
}

const SCENARIOS: [Scenario; 8] = [
    Scenario {
        name: "equal",
        shows: "1 to 8 processes write the files of one, to the byte",
        run: equal::run,
    },
    Scenario {
        name: "resume",
        shows: "a run goes on with another number of processes",
        run: resume::run,
    },
    Scenario {
        name: "kill",
        shows: "a process that fails or hangs ends all, and the run can be resumed",
        run: kill::run,
    },
    Scenario {
        name: "term",
        shows: "SIGTERM to one process saves the step of all",
        run: term::run,
    },
    Scenario {
        name: "misuse",
        shows: "what cannot work is refused with a message",
        run: misuse::run,
    },
    Scenario {
        name: "hosts",
        shows: "four hosts over TCP, one of which is cut off",
        run: hosts::run,
    },
    Scenario {
        name: "slurm",
        shows: "srun and sbatch of a Slurm of one node",
        run: slurm::run,
    },
    Scenario {
        name: "mpich",
        shows: "MPICH gives the sums of Open MPI",
        run: mpich::run,
    },
];

/// Runs the named scenarios, or all, and lists what became of them.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let options = Options::parse(words)?;
    let scenarios = choose(&options.names)?;
    let lab = Lab::new(root, options)?;
    let mut results = vec![];
    for scenario in scenarios {
        println!("== {}: {}", scenario.name, scenario.shows);
        let start = Instant::now();
        let outcome = (scenario.run)(&lab);
        let result = (scenario.name, start.elapsed(), outcome);
        println!("{}", line(&result));
        results.push(result);
    }
    let (list, failed) = summary(&results);
    print!("\n{list}");
    match failed {
        0 => Ok(()),
        1 => Err("1 scenario failed".to_owned()),
        count => Err(format!("{count} scenarios failed")),
    }
}

fn choose(names: &[String]) -> Result<Vec<&'static Scenario>, String> {
    let is_scenario = |name: &str| SCENARIOS.iter().any(|scenario| scenario.name == name);
    if let Some(unknown) = names.iter().find(|name| !is_scenario(name)) {
        let names = SCENARIOS.map(|scenario| scenario.name).join(", ");
        return Err(format!(
            "no scenario is called {unknown:?}; there are {names}"
        ));
    }
    let is_chosen =
        |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    Ok(SCENARIOS.iter().filter(is_chosen).collect())
}

fn line((name, time, outcome): &(&str, Duration, Outcome)) -> String {
    let seconds = time.as_secs_f64();
    let outcome = match outcome {
        Ok(()) => "passed".to_owned(),
        Err(Failure::Failed(why)) => format!("FAILED: {why}"),
        Err(Failure::Skipped(why)) => format!("SKIPPED: {why}"),
    };
    format!("{name:<8}{seconds:>7.1} s  {outcome}")
}

/// The list of all results, and how many failed.
fn summary(results: &[(&str, Duration, Outcome)]) -> (String, usize) {
    let lines = results.iter().map(|result| line(result) + "\n");
    let mut list: String = lines.collect();
    let count = |is: fn(&Outcome) -> bool| results.iter().filter(|result| is(&result.2)).count();
    let failed = count(|outcome| matches!(outcome, Err(Failure::Failed(_))));
    let total: Duration = results.iter().map(|(_, time, _)| *time).sum();
    list += &format!(
        "{} passed, {failed} failed, {} skipped in {:.0} s\n",
        count(Result::is_ok),
        count(|outcome| matches!(outcome, Err(Failure::Skipped(_)))),
        total.as_secs_f64()
    );
    (list, failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_failed_or_was_skipped_is_counted_and_never_passed() {
        let second = Duration::from_secs(1);
        let (list, failed) = summary(&[
            ("equal", second, Ok(())),
            ("kill", second, Err(Failure::Failed("an orphan".into()))),
            ("slurm", second, Err(Failure::Skipped("no srun".into()))),
        ]);
        let expected = "equal       1.0 s  passed\nkill        1.0 s  FAILED: an orphan\n\
                        slurm       1.0 s  SKIPPED: no srun\n1 passed, 1 failed, 1 skipped in 3 s\n";
        assert_eq!((list.as_str(), failed), (expected, 1));
    }

    #[test]
    fn scenarios_are_chosen_by_name() {
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let chosen = choose(&names)?;
            Ok::<_, String>(
                chosen
                    .iter()
                    .map(|scenario| scenario.name)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(names(&["term", "equal"]).unwrap(), ["equal", "term"]);
        assert_eq!(names(&[]).unwrap().len(), SCENARIOS.len());
        assert!(names(&["fast"]).unwrap_err().contains("\"fast\""));
    }
}
