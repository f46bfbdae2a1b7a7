//! What parts of a model are worth: variants pre-trained and fine-tuned at an equal budget, over several seeds.

mod comparisons;
mod driver;
mod job;
mod options;
mod page;
mod plan;
mod progress;
mod scores;
mod statistics;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::peer::machine;
use crate::processes::folders;
use driver::{Chain, Driver, stop_on_signal};
use job::{Jobs, State};
use options::Options;
use plan::Plan;
use progress::{Progress, duration};
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
    if !options.report {
        train(root, &options, &plan, &out)?;
    }
    let scores = Scores {
        out: &out,
        plan: &plan,
        seeds: options.seeds,
    };
    page::write(
        &options.page,
        &plan,
        &scores,
        &options.command(),
        &machine::describe(),
    )?;
    println!("{}", options.page.display());
    Ok(())
}

fn train(root: &Path, options: &Options, plan: &Plan, out: &Path) -> Result<(), String> {
    let phases = phases(plan, options);
    let jobs = phases.iter().flatten().flatten();
    // Before anything is built: a folder of other settings is refused.
    let states: Vec<State> = jobs
        .clone()
        .map(|job| job.state(out))
        .collect::<Result<_, _>>()?;
    let program = program(root, options)?;
    let is_finished = |state: &&State| matches!(state, State::Finished(_));
    println!(
        "{} runs in {}, {} are finished",
        states.len(),
        out.display(),
        states.iter().filter(is_finished).count()
    );
    let driver = Driver {
        out,
        program: &program,
        workers: options.jobs,
        progress: Mutex::new(Progress::new(jobs.zip(states), options.jobs)),
        stop: stop_on_signal()?,
    };
    let started = std::time::Instant::now();
    for chains in phases {
        driver.run(chains)?;
    }
    println!("{} in all", duration(started.elapsed().as_secs_f64()));
    Ok(())
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
}
