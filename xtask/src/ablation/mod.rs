//! What parts of a model are worth: variants pre-trained and fine-tuned at an equal budget, over several seeds.

mod comparisons;
mod driver;
mod job;
mod options;
mod order;
mod page;
mod plan;
mod progress;
mod records;
mod scores;
mod sizes;
mod statistics;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::peer::machine;
use crate::processes::folders;
use driver::{Chain, Driver, stop_on_signal};
use job::{Job, Jobs, State};
use options::Options;
use plan::Plan;
use progress::{Progress, duration};
use records::{Record, Records};
use scores::Scores;

/// Runs what is not finished of an ablation, then writes its page.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let options = Options::parse(words)?;
    let mut plan = Plan::named(&options.name)?;
    plan.choose(&options.only, &options.tasks)?;
    plan.steps = options.steps.unwrap_or(plan.steps);
    plan.task_steps = options.task_steps.unwrap_or(plan.task_steps);
    fs::create_dir_all(&options.out).map_err(|e| format!("{}: {e}", options.out.display()))?;
    let out = fs::canonicalize(&options.out);
    let out = out.map_err(|e| format!("{}: {e}", options.out.display()))?;
    let machine = machine::describe();
    let phases = phases(&plan, &options);
    let mut records = Records::open(&options.page.with_extension("jsonl"))?;
    for job in phases.iter().flatten().flatten() {
        // Before anything is built: a folder or a record of other settings is refused.
        let state = job.state(&out)?;
        if records.of(job)?.is_none() && matches!(state, State::Finished(_)) {
            records.add(Record::read(job, &out, &machine)?)?;
        }
    }
    if !options.report {
        train(root, &options, &out, phases, &mut records, &machine)?;
    }
    let scores = Scores {
        records: &records,
        plan: &plan,
        seeds: options.seeds,
    };
    page::write(&options.page, &plan, &scores, &options.command())?;
    println!("{}", options.page.display());
    Ok(())
}

fn train(
    root: &Path,
    options: &Options,
    out: &Path,
    phases: [Vec<Chain>; 2],
    records: &mut Records,
    machine: &str,
) -> Result<(), String> {
    let jobs: Vec<&Job> = phases.iter().flatten().flatten().collect();
    let states = states(&jobs, out, records)?;
    let is_left = |state: &State| !matches!(state, State::Finished(_));
    let left: BTreeSet<PathBuf> = (jobs.iter().zip(&states))
        .filter(|(_, state)| is_left(state))
        .map(|(job, _)| job.path.clone())
        .collect();
    println!(
        "{} runs in {}, {} are finished",
        jobs.len(),
        out.display(),
        jobs.len() - left.len()
    );
    if left.is_empty() {
        return Ok(());
    }
    let program = program(root, options)?;
    let progress = Progress::new(jobs.into_iter().zip(states), options.jobs);
    let driver = Driver {
        out,
        program: &program,
        workers: options.jobs,
        progress: Mutex::new(progress),
        records: Mutex::new(records),
        machine,
        stop: stop_on_signal()?,
    };
    let started = std::time::Instant::now();
    for mut chains in phases {
        for chain in &mut chains {
            chain.retain(|job| left.contains(&job.path));
        }
        driver.run(chains)?;
    }
    println!("{} in all", duration(started.elapsed().as_secs_f64()));
    Ok(())
}

/// How far every job has come. One that is recorded is finished, even if its folder is gone, unless another that is not finished reads it.
fn states(jobs: &[&Job], out: &Path, records: &Records) -> Result<Vec<State>, String> {
    let mut states = vec![];
    let mut unfinished: Vec<&Job> = vec![];
    // Those that read a run come after it.
    for &job in jobs.iter().rev() {
        let state = match (job.state(out)?, records.of(job)?) {
            (State::Finished(seconds), _) => State::Finished(seconds),
            (state, Some(record)) => match unfinished.iter().any(|other| other.reads(&job.path)) {
                true => state,
                false => State::Finished(record.seconds),
            },
            (state, None) => state,
        };
        if !matches!(state, State::Finished(_)) {
            unfinished.push(job);
        }
        states.push(state);
    }
    states.reverse();
    Ok(states)
}

/// The built `vlp`, or the one that the options name.
fn program(root: &Path, options: &Options) -> Result<PathBuf, String> {
    if let Some(program) = &options.program {
        let path = fs::canonicalize(program);
        return path.map_err(|e| format!("--program {}: {e}", program.display()));
    }
    let folder = root.join("target/ablation");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let copy = folder.join("vlp");
    let mut arguments = vec!["--package", "vlp"];
    if ["cuda", "wgpu"].contains(&options.device.as_str()) {
        arguments.extend(["--features", &options.device]);
    }
    folders::build(root, &arguments, "vlp", &copy)?;
    Ok(copy)
}

/// Chains that can run at a time, in phases that follow each other. Seeds come first: each brings a column of every variant.
fn phases(plan: &Plan, options: &Options) -> [Vec<Chain>; 2] {
    let jobs = Jobs {
        plan,
        device: &options.device,
    };
    let seeds = 1..=options.seeds;
    let used = |name: &str| {
        let mut variants = plan.variants.iter();
        variants.any(|variant| variant.from.as_deref() == Some(name))
    };
    let starts = seeds.clone().flat_map(|seed| {
        let starts = plan.starts.iter().filter(|start| used(&start.name));
        starts.map(move |start| (start, seed))
    });
    let starts = starts.map(|(start, seed)| vec![jobs.start(start, seed)]);
    let chains = seeds.flat_map(|seed| {
        let variants = plan.variants.iter();
        let pretrained = variants.filter(|variant| variant.pretrained().is_none());
        pretrained.map(move |variant| (variant, seed))
    });
    let chains = chains.map(|(variant, seed)| {
        let mut chain = jobs.variant(variant, seed);
        // They take the weights or the configuration of this variant's run.
        let others = plan.variants.iter();
        let others = others.filter(|other| other.pretrained() == Some(&variant.name));
        chain.extend(others.flat_map(|other| jobs.variant(other, seed)));
        chain
    });
    [starts.collect(), chains.collect()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn labels(words: &[&str]) -> Vec<Vec<String>> {
        let options = Options::parse(words).unwrap();
        let mut plan = Plan::named(&options.name).unwrap();
        plan.choose(&options.only, &options.tasks).unwrap();
        let phases = phases(&plan, &options);
        let chains = phases.iter().flatten();
        chains
            .map(|chain| chain.iter().map(|job| job.label.clone()).collect())
            .collect()
    }

    #[test]
    fn starts_come_first_and_scratch_after_what_it_copies() {
        let words = [
            "soho",
            "--seeds",
            "2",
            "--only",
            "warm-full,plain",
            "--tasks",
            "vqa",
        ];
        let chains = labels(&words);
        let first: Vec<&str> = chains.iter().map(|chain| chain[0].as_str()).collect();
        assert_eq!(
            first,
            [
                "backbone seed 1: pre-training",
                "backbone seed 2: pre-training",
                "plain seed 1: pre-training",
                "warm-full seed 1: pre-training",
                "plain seed 2: pre-training",
                "warm-full seed 2: pre-training",
            ]
        );
        let words = [
            "generalization",
            "--seeds",
            "1",
            "--only",
            "scratch",
            "--tasks",
            "vqa",
        ];
        assert_eq!(
            labels(&words),
            [[
                "full seed 1: pre-training",
                "full seed 1: vqa",
                "full seed 1: vqa, unseen",
                "scratch seed 1: vqa",
                "scratch seed 1: vqa, unseen"
            ]]
        );
    }

    #[test]
    fn what_is_recorded_is_not_run_again_unless_its_weights_are_needed() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let words = [
            "soho",
            "--seeds",
            "1",
            "--only",
            "warm-full",
            "--tasks",
            "vqa",
        ];
        let options = Options::parse(&words).unwrap();
        let mut plan = Plan::named(&options.name).unwrap();
        plan.choose(&options.only, &options.tasks).unwrap();
        let phases = phases(&plan, &options);
        // The backbone, pre-training from it, VQA.
        let jobs: Vec<&Job> = phases.iter().flatten().flatten().collect();
        let mut records = Records::open(&out.join("page.jsonl")).unwrap();
        let mut add = |job: &Job| {
            let record = Record {
                run: job.path.display().to_string(),
                arguments: job.arguments.clone(),
                seconds: 2.0,
                device: "a CPU".into(),
                sizes: None,
                metrics: [].into(),
                curves: [].into(),
            };
            records.add(record).unwrap();
            states(&jobs, out, &records).unwrap()
        };
        assert_eq!(add(jobs[0]), [State::New; 3]);
        assert_eq!(add(jobs[1]), [State::New; 3]);
        assert_eq!(add(jobs[2]), [State::Finished(2.0); 3]);
    }
}
