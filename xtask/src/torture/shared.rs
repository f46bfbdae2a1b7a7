//! A run folder that others use as well: a second trainer, a reader, a file system that becomes read-only, a clock that is set.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::calls::Change;
use super::lab::Lab;
use super::program::{self, READ_ONLY};
use super::subject::Subject;
use super::tiny::{self, PRESETS};
use crate::processes::run_files;
use crate::processes::scenario::Outcome;
use crate::processes::wait;

/// Much shorter than a run.
const INTERVAL: Duration = Duration::from_millis(2);
/// Longer than a run takes.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn run(lab: &Lab) -> Outcome<String> {
    let trainers = two_trainers(lab)?;
    let reads = reader(lab)?;
    let read_only = read_only(lab)?;
    let clocks = clock(lab)?;
    let figures = [trainers, reads, read_only, clocks];
    figures.iter().for_each(|figure| println!("  {figure}"));
    Ok(figures.join("; "))
}

/// Two processes create the same run, and a third one would resume it.
fn two_trainers(lab: &Lab) -> Result<String, String> {
    let folder = lab.fresh("shared/trainers")?;
    let settings = tiny::settings("e2e-vlp-tiny", 30);
    let unbroken = folder.join("unbroken");
    lab.vlp(&tiny::new_run(&unbroken, &settings))
        .run()?
        .expect(0)?;
    let rounds = lab.count(2, 100);
    let mut refused = 0;
    for round in 0..rounds {
        let run = folder.join(round.to_string());
        let create = || lab.vlp(&tiny::new_run(&run, &settings)).start();
        let (first, second) = (create()?, create()?);
        wait_for(|| run.join("config.toml").exists())?;
        let third = lab.vlp(&tiny::resume(&run)).run()?;
        let (mut ended_well, mut messages) = (0, vec![third]);
        for child in [first, second] {
            let ended = program::wait(child)?;
            match ended.code {
                Some(0) => ended_well += 1,
                _ => messages.push(ended),
            }
        }
        for ended in messages {
            let output = ended.expect(1)?;
            let reasons = [
                "another process trains there",
                "already exists; use another --out",
            ];
            if !reasons.iter().any(|reason| output.contains(reason)) {
                return Err(format!("round {round}: refused with {output:?}"));
            }
            refused += 1;
        }
        if ended_well != 1 {
            return Err(format!(
                "round {round}: {ended_well} of two processes trained"
            ));
        }
        run_files::compare(&unbroken, &run)?;
        fs::remove_dir_all(&run).map_err(|e| e.to_string())?;
    }
    Ok(format!(
        "of {} processes on {rounds} folders {refused} are refused, the others end with the bytes of an uninterrupted run",
        3 * rounds
    ))
}

/// A process reads the newest checkpoint again and again while another one saves and removes them.
fn reader(lab: &Lab) -> Result<String, String> {
    let folder = lab.fresh("shared/reader")?;
    let steps = 30;
    let settings = tiny::settings("soho-tiny", steps);
    let unbroken = folder.join("unbroken");
    let all = [settings.clone(), tiny::set(&["checkpoint.keep=99"])].concat();
    lab.vlp(&tiny::new_run(&unbroken, &all)).run()?.expect(0)?;
    let file = folder.join("model.safetensors");
    let export = |run: &Path, checkpoint: &str| {
        let (run, file) = (run.display().to_string(), file.display().to_string());
        lab.vlp(&["weights", "export", &run, &file, "--checkpoint", checkpoint])
            .run()
    };
    // An export replaces nothing.
    let read = || {
        let bytes = fs::read(&file);
        let removed = fs::remove_file(&file);
        bytes
            .and_then(|bytes| removed.map(|()| bytes))
            .map_err(|e| format!("{}: {e}", file.display()))
    };
    let mut expected = BTreeSet::new();
    for step in 1..=steps {
        export(&unbroken, &step.to_string())?.expect(0)?;
        expected.insert(read()?);
    }
    let wanted = lab.count(20, 1000);
    let (mut reads, mut seen) = (0, BTreeSet::new());
    for round in 0.. {
        let run = folder.join(round.to_string());
        let mut trainer = lab.vlp(&tiny::new_run(&run, &settings)).start()?;
        wait_for(|| run_files::checkpoints(&run).is_ok_and(|names| !names.is_empty()))?;
        while trainer.try_wait().map_err(|e| e.to_string())?.is_none() && reads < wanted {
            export(&run, "last")?
                .expect(0)
                .map_err(|why| format!("read {reads}: {why}"))?;
            let model = read()?;
            if !expected.contains(&model) {
                return Err(format!("read {reads}: weights of no step"));
            }
            seen.insert(model);
            reads += 1;
        }
        program::wait(trainer)?.expect(0)?;
        fs::remove_dir_all(&run).map_err(|e| e.to_string())?;
        if reads == wanted {
            break;
        }
    }
    Ok(format!(
        "{reads} reads of the newest checkpoint while it is replaced give the weights of {} steps and no others",
        seen.len()
    ))
}

/// From a call on, nothing can be written any more.
fn read_only(lab: &Lab) -> Result<String, String> {
    let subject = Subject::training(lab, "soho-tiny", 3, Some(1))?;
    let (disk, calls) = subject.calls(lab)?;
    let changes = calls.iter().enumerate();
    let changes = changes.filter(|(_, call)| call.change != Change::Nothing);
    let points: Vec<usize> = changes
        .map(|(index, _)| index)
        .step_by(lab.count(15, 1))
        .collect();
    lab.each(&points, |_, &point| {
        let case = lab.fresh(&format!("shared/read-only/{point}"))?;
        subject.prepare(&case)?;
        let program = lab.vlp(&subject.arguments(&case)).below(&case);
        let output = program.fault_from(point, READ_ONLY).run()?.expect(1)?;
        let name = calls[point].name_in_messages(disk.root());
        if !output.contains("Read-only file system") || !output.contains(&name) {
            return Err(format!("call {point}: {name:?} is not named in {output:?}"));
        }
        let step = subject.durable_step(&calls[..point]);
        subject
            .complete(lab, &case, step)
            .map_err(|why| format!("call {point}: {why}"))
    })?;
    // What only reads does not try to write.
    let case = lab.fresh("shared/read-only/reader")?;
    subject.prepare(&case)?;
    let run = case.join("out").display().to_string();
    let evaluate = lab.vlp(&["evaluate", &run]).below(&case);
    evaluate.fault_from(0, READ_ONLY).run()?.expect(0)?;
    Ok(format!(
        "{} folders that become read-only: named, and resumed when they are writable; evaluated without writing",
        points.len()
    ))
}

/// The clock goes back by an hour whenever it is read.
fn clock(lab: &Lab) -> Result<String, String> {
    let mut runs = 0;
    for preset in PRESETS {
        for resumed in [None, Some(2)] {
            let subject = Subject::training(lab, preset, 4, resumed)?;
            let case = lab.fresh("shared/clock")?;
            subject.prepare(&case)?;
            let program = lab.vlp(&subject.arguments(&case));
            program.clock_goes_back(3600).run()?.expect(0)?;
            subject.complete(lab, &case, 4)?;
            runs += 1;
        }
    }
    Ok(format!(
        "{runs} runs whose clock goes back by an hour at each reading: the same bytes"
    ))
}

fn wait_for(condition: impl Fn() -> bool) -> Result<(), String> {
    match wait::until(INTERVAL, LIMIT, || Ok(condition()))? {
        true => Ok(()),
        false => Err(format!("waited for {} s in vain", LIMIT.as_secs())),
    }
}
