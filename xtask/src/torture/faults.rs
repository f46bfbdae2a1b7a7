//! Every call that changes files fails in turn, or the process is killed there.

use std::fs;
use std::path::Path;

use super::calls::{Call, Change};
use super::lab::Lab;
use super::program::{DISK_BROKEN, DISK_FULL, Fault, QUOTA};
use super::subject::{State, Subject, no_temporaries};
use crate::processes::scenario::Outcome;

/// SIGKILL, as a shell tells it.
const KILLED: i32 = 137;

/// A call of a command, and what happens there.
struct Case<'a> {
    subject: &'a Subject,
    root: &'a Path,
    calls: &'a [Call],
    call: usize,
    fault: Fault,
}

pub(super) fn run(lab: &Lab) -> Outcome<String> {
    let mut subjects = Subject::outputs(lab)?;
    subjects.extend(Subject::sets(lab)?);
    subjects.push(Subject::training(lab, "e2e-vlp-tiny", 2, None)?);
    subjects.push(Subject::training(lab, "soho-tiny", 3, Some(1))?);
    let mut logs = vec![];
    for subject in &subjects {
        logs.push((subject, subject.calls(lab)?));
    }
    let mut cases = vec![];
    for (subject, (disk, calls)) in &logs {
        for (call, Call { change, .. }) in calls.iter().enumerate() {
            if *change == Change::Nothing {
                continue;
            }
            let is_write = matches!(change, Change::Write { .. });
            let faults = [
                DISK_FULL,
                DISK_BROKEN,
                QUOTA,
                Fault::KillBefore,
                Fault::KillAfter,
            ];
            let of_writes = [Fault::Short, Fault::KillHalf];
            let of_writes = of_writes.into_iter().filter(|_| is_write);
            cases.extend(faults.into_iter().chain(of_writes).map(|fault| Case {
                subject,
                root: disk.root(),
                calls,
                call,
                fault,
            }));
        }
    }
    let calls: usize = logs.iter().map(|(_, (_, calls))| calls.len()).sum();
    println!(
        "  {calls} calls of {} commands, {} faults",
        logs.len(),
        cases.len()
    );
    // Coprime to the number of faults of a call: all kinds are met.
    let stride = lab.count(17, 1);
    let tried: Vec<Case> = lab.some(cases, stride);
    lab.each(&tried, |index, case| {
        case.check(lab, index)
            .map_err(|why| format!("{}: {why}", case.describe()))
    })?;
    Ok(format!(
        "{} faults at {calls} calls of {} commands: the old or the new state each time, the error named, nothing left",
        tried.len(),
        logs.len()
    ))
}

impl Case<'_> {
    fn describe(&self) -> String {
        let call = self.calls[self.call].describe();
        format!(
            "{}, call {} ({call}), {}",
            self.subject.name,
            self.call,
            self.fault.describe()
        )
    }

    fn check(&self, lab: &Lab, index: usize) -> Result<(), String> {
        let case = lab.fresh(&format!("faults/{index}"))?;
        let subject = self.subject;
        subject.prepare(&case)?;
        let program = lab.vlp(&subject.arguments(&case)).below(&case);
        let ended = program.fault(self.call, self.fault).run()?;
        match self.fault {
            Fault::Error(_, cause) => {
                let output = ended.expect(1)?;
                let name = self.calls[self.call].name_in_messages(self.root);
                if !output.contains(&name) || !output.contains(cause) {
                    return Err(format!("{name:?} and {cause:?} expected in {output:?}"));
                }
                // What cannot be removed stays until the next command.
                if self.calls[self.call].change != Change::Remove {
                    no_temporaries(&case)?;
                }
            }
            Fault::Short => {
                ended.expect(0)?;
                if subject.state(&case)? == State::Old {
                    return Err("the old state after a success".into());
                }
            }
            Fault::KillBefore | Fault::KillHalf | Fault::KillAfter => {
                ended.expect(KILLED)?;
            }
        }
        subject.state(&case)?;
        let done = self.call + usize::from(self.fault == Fault::KillAfter);
        subject.complete(lab, &case, subject.durable_step(&self.calls[..done]))?;
        fs::remove_dir_all(&case).map_err(|e| format!("{}: {e}", case.display()))
    }
}
