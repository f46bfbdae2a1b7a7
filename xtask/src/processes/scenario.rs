//! Named scenarios, and the list of what became of them.

use std::time::{Duration, Instant};

use crate::names;

/// Why a scenario has not passed.
#[derive(Debug)]
pub(crate) enum Failure {
    Failed(String),
    /// It cannot run on this machine.
    Skipped(String),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

/// What a scenario shows, which may be a figure.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// A result as it is listed.
pub(crate) trait Figure {
    fn text(&self) -> &str;
}

/// The scenario has printed its figures.
impl Figure for () {
    fn text(&self) -> &str {
        ""
    }
}

impl Figure for String {
    fn text(&self) -> &str {
        self
    }
}

/// Name, what it shows, and how: with a laboratory `L` to a result `T`.
pub(crate) struct Scenario<L, T = ()> {
    pub(crate) name: &'static str,
    pub(crate) shows: &'static str,
    pub(crate) run: fn(&L) -> Outcome<T>,
}

/// A scenario that has been run.
pub(crate) struct Run<T> {
    pub(crate) name: &'static str,
    pub(crate) time: Duration,
    pub(crate) outcome: Outcome<T>,
}

/// The named scenarios of `all`, or all of them if no name is given.
pub(crate) fn choose<'a, L, T>(
    all: &'a [Scenario<L, T>],
    names: &[String],
) -> Result<Vec<&'a Scenario<L, T>>, String> {
    let all_names: Vec<&str> = all.iter().map(|scenario| scenario.name).collect();
    names::check("scenario", names, &all_names)?;
    let is_chosen = |scenario: &&Scenario<L, T>| {
        names.is_empty() || names.iter().any(|name| name == scenario.name)
    };
    Ok(all.iter().filter(is_chosen).collect())
}

/// Runs scenarios one after the other, and lists what became of them.
///
/// # Errors
/// The number of scenarios that failed.
pub(crate) fn run<L, T: Figure>(
    scenarios: &[&Scenario<L, T>],
    lab: &L,
) -> (Vec<Run<T>>, Result<(), String>) {
    let mut runs = vec![];
    for scenario in scenarios {
        println!("== {}: {}", scenario.name, scenario.shows);
        let start = Instant::now();
        let outcome = (scenario.run)(lab);
        let run = Run {
            name: scenario.name,
            time: start.elapsed(),
            outcome,
        };
        println!("{}", line(&run));
        runs.push(run);
    }
    let (list, failed) = summary(&runs);
    print!("\n{list}");
    let result = match failed {
        0 => Ok(()),
        1 => Err("1 scenario failed".to_owned()),
        count => Err(format!("{count} scenarios failed")),
    };
    (runs, result)
}

fn line<T: Figure>(run: &Run<T>) -> String {
    let seconds = run.time.as_secs_f64();
    let outcome = match &run.outcome {
        Ok(figure) => format!("passed {}", figure.text()).trim_end().to_owned(),
        Err(Failure::Failed(why)) => format!("FAILED: {why}"),
        Err(Failure::Skipped(why)) => format!("SKIPPED: {why}"),
    };
    format!("{:<10}{seconds:>7.1} s  {outcome}", run.name)
}

/// The list of all results, and how many failed.
fn summary<T: Figure>(runs: &[Run<T>]) -> (String, usize) {
    let mut list: String = runs.iter().map(|run| line(run) + "\n").collect();
    let count = |is: fn(&Outcome<T>) -> bool| runs.iter().filter(|run| is(&run.outcome)).count();
    let failed = count(|outcome| matches!(outcome, Err(Failure::Failed(_))));
    let total: Duration = runs.iter().map(|run| run.time).sum();
    list += &format!(
        "{} passed, {failed} failed, {} skipped in {:.0} s\n",
        count(|outcome| outcome.is_ok()),
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
        let run = |name, outcome| Run {
            name,
            time: Duration::from_secs(1),
            outcome,
        };
        let (list, failed) = summary(&[
            run("equal", Ok("8 files".to_owned())),
            run("kill", Err(Failure::Failed("an orphan".into()))),
            run("slurm", Err(Failure::Skipped("no srun".into()))),
        ]);
        let expected = "equal         1.0 s  passed 8 files\nkill          1.0 s  FAILED: an orphan\n\
                        slurm         1.0 s  SKIPPED: no srun\n1 passed, 1 failed, 1 skipped in 3 s\n";
        assert_eq!((list.as_str(), failed), (expected, 1));
    }

    #[test]
    fn scenarios_are_chosen_by_name() {
        let scenario = |name| Scenario {
            name,
            shows: "",
            run: |(): &()| Ok(()),
        };
        let all = [scenario("equal"), scenario("kill"), scenario("term")];
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let chosen = choose(&all, &names)?;
            Ok::<_, String>(
                chosen
                    .iter()
                    .map(|scenario| scenario.name)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(names(&["term", "equal"]).unwrap(), ["equal", "term"]);
        assert_eq!(names(&[]).unwrap(), ["equal", "kill", "term"]);
        assert!(names(&["fast"]).unwrap_err().contains("\"fast\""));
    }
}
