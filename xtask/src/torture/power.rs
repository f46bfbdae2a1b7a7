//! Power is lost at each call: what was synced stays, all else may be lost.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::disk::{Loss, Tree, write_tree};
use super::lab::Lab;
use super::subject::{State, Subject};
use crate::processes::random::Random;
use crate::processes::scenario::Outcome;

/// A state that a power loss leaves.
struct Case<'a> {
    subject: &'a Subject,
    after: String,
    loss: Loss,
    tree: Tree,
    /// The step that was saved.
    durable_step: usize,
    /// Whether the command had ended.
    ended: bool,
}

pub(super) fn run(lab: &Lab) -> Outcome<String> {
    let mut subjects = Subject::outputs(lab)?;
    subjects.extend(Subject::sets(lab)?);
    subjects.push(Subject::training(lab, "soho-tiny", 2, None)?);
    subjects.push(Subject::training(lab, "e2e-vlp-tiny", 3, Some(1))?);
    let mut random = Random(lab.options.seed);
    let (mut cases, mut points) = (vec![], 0);
    for subject in &subjects {
        let mut states = HashSet::new();
        let (mut disk, calls) = subject.calls(lab)?;
        for done in 1..=calls.len() {
            disk.apply(&calls[done - 1])?;
            points += 1;
            let ended = done == calls.len();
            let durable_step = match ended {
                true => subject.last_step(),
                false => subject.durable_step(&calls[..done]),
            };
            let drawn = (0..lab.count(2, 12)).map(|_| Loss::Random(random.below(1 << 30) as u64));
            for loss in [Loss::All, Loss::Bytes, Loss::Names]
                .into_iter()
                .chain(drawn)
            {
                let tree = disk.after(loss);
                let mut hasher = DefaultHasher::new();
                (&tree, durable_step, ended).hash(&mut hasher);
                if states.insert(hasher.finish()) {
                    cases.push(Case {
                        subject,
                        after: calls[done - 1].describe(),
                        loss,
                        tree,
                        durable_step,
                        ended,
                    });
                }
            }
        }
    }
    println!(
        "  {points} calls of {} commands, {} states",
        subjects.len(),
        cases.len()
    );
    let stride = lab.count(11, 1);
    let tried: Vec<Case> = lab.some(cases, stride);
    lab.each(&tried, |index, case| {
        case.check(lab, index).map_err(|why| {
            let (name, after, loss) = (case.subject.name, &case.after, case.loss);
            format!("{name}, power lost after {after} ({loss:?}), state {index}: {why}")
        })
    })?;
    Ok(format!(
        "{} states that a loss of power at {points} calls of {} commands may leave: the old or the new state each time, no step lost that was saved",
        tried.len(),
        subjects.len()
    ))
}

impl Case<'_> {
    fn check(&self, lab: &Lab, index: usize) -> Result<(), String> {
        let case = lab.fresh(&format!("power/{index}"))?;
        write_tree(&self.tree, &case)?;
        let state = self.subject.state(&case)?;
        if self.ended && state == State::Old {
            return Err("lost after the command had ended".into());
        }
        self.subject.complete(lab, &case, self.durable_step)?;
        fs::remove_dir_all(&case).map_err(|e| format!("{}: {e}", case.display()))
    }
}
