//! Runs, indices and sets of scenes that are killed at random moments and completed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::calls::Call;
use super::lab::Lab;
use super::program::{self, Fault};
use super::subject::Subject;
use super::tiny::PRESETS;
use crate::processes::random::Random;
use crate::processes::run_files;
use crate::processes::scenario::Outcome;

const STEPS: usize = 6;

/// A command that is killed.
struct Victim {
    subject: Subject,
    calls: Vec<Call>,
    /// How long it takes.
    time: Duration,
}

enum Moment {
    /// So long after the start.
    After(Duration),
    /// At a call that changes files.
    Call(usize, Fault),
}

struct Kill<'a> {
    victim: &'a Victim,
    moment: Moment,
}

pub(super) fn run(lab: &Lab) -> Outcome<String> {
    let mut victims = vec![];
    for preset in PRESETS {
        for resumed in [None, Some(3)] {
            let subject = Subject::training(lab, preset, STEPS, resumed)?;
            victims.push(Victim::new(lab, subject)?);
        }
    }
    for subject in Subject::sets(lab)? {
        victims.push(Victim::new(lab, subject)?);
    }
    let mut random = Random(lab.options.seed);
    let kills: Vec<Kill> = (0..lab.count(20, 1000))
        .map(|number| {
            let victim = &victims[number % victims.len()];
            let moment = match random.below(2) {
                0 => Moment::After(victim.time.mul_f64(random.fraction())),
                _ => {
                    let faults = [Fault::KillBefore, Fault::KillHalf, Fault::KillAfter];
                    let call = random.below(victim.calls.len());
                    Moment::Call(call, faults[random.below(faults.len())])
                }
            };
            Kill { victim, moment }
        })
        .collect();
    let phases = lab.each(&kills, |index, kill| {
        kill.check(lab, index)
            .map_err(|why| format!("kill {index}: {why}"))
    })?;
    let mut counts = BTreeMap::<String, usize>::new();
    for phase in phases {
        *counts.entry(phase).or_default() += 1;
    }
    let ended = counts.remove(ENDED).unwrap_or(0);
    for (phase, count) in &counts {
        println!("  {count:>4} killed {phase}");
    }
    let killed = kills.len() - ended;
    Ok(format!(
        "{killed} kills of runs, indices and scene sets ({ended} more came too late): {} commands, each run again, ended with the bytes of an uninterrupted one",
        kills.len()
    ))
}

/// A command that had ended before it was to be killed.
const ENDED: &str = "after its end";

impl Victim {
    fn new(lab: &Lab, subject: Subject) -> Result<Self, String> {
        let (_, calls) = subject.calls(lab)?;
        let case = lab.fresh("kill/timed")?;
        subject.prepare(&case)?;
        let start = Instant::now();
        lab.vlp(&subject.arguments(&case)).run()?.expect(0)?;
        Ok(Self {
            subject,
            calls,
            time: start.elapsed(),
        })
    }
}

impl Kill<'_> {
    /// Returns in what the run was killed.
    fn check(&self, lab: &Lab, index: usize) -> Result<String, String> {
        let case = lab.fresh(&format!("kill/{index}"))?;
        let Victim { subject, calls, .. } = self.victim;
        subject.prepare(&case)?;
        let program = lab.vlp(&subject.arguments(&case)).below(&case);
        let (phase, done) = match self.moment {
            Moment::Call(call, fault) => {
                program.fault(call, fault).run()?.expect(137)?;
                (subject.phase(|| phase_of(&calls[call])), &calls[..call])
            }
            Moment::After(time) => {
                let mut child = program.start()?;
                std::thread::sleep(time);
                child.kill().map_err(|e| e.to_string())?;
                match program::wait(child)?.code {
                    Some(0) => (ENDED.to_owned(), &calls[..]),
                    Some(137) => {
                        let phase = subject.phase(|| phase_on_disk(&case.join("out")));
                        (phase, &calls[..0])
                    }
                    code => return Err(format!("ended with {code:?}")),
                }
            }
        };
        let durable_step = subject.durable_step(done);
        let killed = |why| format!("{}, killed {phase}: {why}", subject.name);
        subject.complete(lab, &case, durable_step).map_err(killed)?;
        fs::remove_dir_all(&case).map_err(|e| format!("{}: {e}", case.display()))?;
        Ok(phase)
    }
}

/// What a run does at a call.
fn phase_of(call: &Call) -> String {
    let path = call.path.to_string_lossy();
    let phase = match call.final_name().as_str() {
        name if name.starts_with("step-") && path.contains(".writing-") => {
            "at the rename of a checkpoint"
        }
        name if name == "removed" || path.contains("/removed") || path.contains("/step-") => {
            "inside the removal of an old checkpoint"
        }
        _ if path.contains(".writing-") => "inside a save",
        "results.json" => "inside the results",
        "report.html" => "inside the report",
        "metrics.jsonl" => "inside the metrics",
        name if name.starts_with("events.") => "inside the event file",
        _ => "inside the start",
    };
    phase.to_owned()
}

/// What a run was killed in, as far as its files tell.
fn phase_on_disk(run: &Path) -> String {
    let checkpoints = fs::read_dir(run.join("checkpoints"))
        .into_iter()
        .flatten()
        .flatten();
    let mut names = checkpoints.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let steps = run_files::logged_lines(run);
    let phase = match () {
        () if !run.join("config.toml").exists() => "before its folder was there",
        () if names.any(|name| name.starts_with(".writing-")) => "inside a save",
        () if steps == 0 => "in the first evaluation",
        () => "in a step or an evaluation",
    };
    phase.to_owned()
}
