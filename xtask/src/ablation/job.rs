//! One run of `vlp`: its command, and how far it has come.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::plan::{Plan, Start, Task, Variant, View};

/// What a job does; jobs of one kind take about as long.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Pretrain,
    /// Fine-tuning for the named task.
    Task(String),
    /// Evaluating a fine-tuned model of the named task once more.
    View(String),
}

/// A run of `vlp` in the folder of all runs.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) kind: Kind,
    /// For people: variant, seed, and what is done.
    pub(super) label: String,
    /// The run, or the text file of an evaluation, relative to the folder of all runs.
    pub(super) path: PathBuf,
    /// Arguments of `vlp`; they decide the run.
    pub(super) arguments: Vec<String>,
    /// Steps; 1 of an evaluation.
    pub(super) steps: u64,
    /// Validation metrics that are drawn by step.
    pub(super) curves: Vec<String>,
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    New,
    /// It was stopped or killed.
    Begun,
    /// With the seconds that it took.
    Finished(f64),
}

/// The folder of a run, relative to that of all runs.
pub(super) fn folder(variant: &str, seed: u64, run: &str) -> PathBuf {
    PathBuf::from(format!("{variant}/{seed}/{run}"))
}

/// The text file of an evaluation.
pub(super) fn view_file(variant: &str, seed: u64, task: &str, view: &str) -> PathBuf {
    folder(variant, seed, &format!("{task}.{view}.txt"))
}

/// Arguments that set configuration values.
fn set(settings: Vec<String>) -> impl Iterator<Item = String> {
    let words = settings.into_iter();
    words.flat_map(|setting| ["--set".to_owned(), setting])
}

/// Makes the jobs of a plan.
pub(super) struct Jobs<'a> {
    pub(super) plan: &'a Plan,
    pub(super) device: &'a str,
}

impl Jobs<'_> {
    fn new_run(&self, words: &[&str], path: &Path, steps: u64, seed: u64) -> Vec<String> {
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let path = path.display().to_string();
        let (steps, seed) = (steps.to_string(), seed.to_string());
        for (option, value) in [
            ("--out", path.as_str()),
            ("--steps", steps.as_str()),
            ("--seed", seed.as_str()),
            ("--device", self.device),
        ] {
            arguments.extend([option.to_owned(), value.to_owned()]);
        }
        arguments
    }

    /// The run that variants start from.
    pub(super) fn start(&self, start: &Start, seed: u64) -> Job {
        let path = folder(&start.name, seed, "pretrain");
        let words = ["pretrain", "--preset", &self.plan.preset];
        let steps = self.plan.steps_of_start(start);
        let mut arguments = self.new_run(&words, &path, steps, seed);
        arguments.extend(set(self.plan.start_settings(start)));
        Job {
            kind: Kind::Pretrain,
            label: format!("{} seed {seed}: pre-training", start.name),
            path,
            arguments,
            steps,
            curves: vec![],
        }
    }

    /// The pre-training of a variant; `None` if it has none.
    fn pretrain(&self, variant: &Variant, seed: u64) -> Option<Job> {
        if variant.pretrained().is_some() {
            return None;
        }
        let path = folder(&variant.name, seed, "pretrain");
        let steps = self.plan.steps_of(variant);
        let words = ["pretrain", "--preset", &self.plan.preset];
        let mut arguments = self.new_run(&words, &path, steps, seed);
        if let Some(start) = &variant.from {
            let from = folder(start, seed, "pretrain");
            arguments.extend(set(vec![format!("from={}", from.display())]));
        }
        arguments.extend(set(self.plan.variant_settings(variant)));
        Some(Job {
            kind: Kind::Pretrain,
            label: format!("{} seed {seed}: pre-training", variant.name),
            path,
            arguments,
            steps,
            curves: self.plan.curves.clone(),
        })
    }

    fn task(&self, variant: &Variant, task: &Task, seed: u64) -> Job {
        let source = variant.pretrained().unwrap_or(&variant.name);
        let from = folder(source, seed, "pretrain").display().to_string();
        let mut words = vec!["finetune", &task.name, "--from", &from];
        if variant.scratch.is_some() {
            words.push("--from-scratch");
        }
        let path = folder(&variant.name, seed, &task.name);
        let mut arguments = self.new_run(&words, &path, self.plan.task_steps, seed);
        arguments.extend(set(self.plan.task_settings(variant, task)));
        Job {
            kind: Kind::Task(task.name.clone()),
            label: format!("{} seed {seed}: {}", variant.name, task.name),
            path,
            arguments,
            steps: self.plan.task_steps,
            curves: task.metrics.clone(),
        }
    }

    fn view(&self, variant: &Variant, task: &Task, view: &View, seed: u64) -> Job {
        let run = folder(&variant.name, seed, &task.name)
            .display()
            .to_string();
        let words = ["evaluate", &run, "--device", self.device];
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        arguments.extend(set(self.plan.view_settings(view)));
        Job {
            kind: Kind::View(task.name.clone()),
            label: format!("{} seed {seed}: {}, {}", variant.name, task.name, view.name),
            path: view_file(&variant.name, seed, &task.name, &view.name),
            arguments,
            steps: 1,
            curves: vec![],
        }
    }

    /// All jobs of a variant and a seed, each after those that it needs.
    pub(super) fn variant(&self, variant: &Variant, seed: u64) -> Vec<Job> {
        let mut jobs: Vec<Job> = self.pretrain(variant, seed).into_iter().collect();
        for task in &self.plan.tasks {
            jobs.push(self.task(variant, task, seed));
            let views = self.plan.views.iter();
            jobs.extend(views.map(|view| self.view(variant, task, view, seed)));
        }
        jobs
    }
}

impl Job {
    /// The record of its arguments, in the folder of all runs.
    fn record(&self, out: &Path) -> PathBuf {
        self.sibling(out, "arguments")
    }

    /// The file that its output goes to.
    pub(super) fn log(&self, out: &Path) -> PathBuf {
        self.sibling(out, "log")
    }

    fn sibling(&self, out: &Path, ending: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        out.join(self.path.with_file_name(format!("{name}.{ending}")))
    }

    fn recorded_text(&self) -> String {
        self.arguments.join("\n") + "\n"
    }

    /// Records the arguments before the first start.
    pub(super) fn write_record(&self, out: &Path) -> Result<(), String> {
        let path = self.record(out);
        let failed = |e| format!("{}: {e}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(out)).map_err(failed)?;
        fs::write(&path, self.recorded_text()).map_err(failed)
    }

    /// How far it has come in the folder of all runs.
    ///
    /// # Errors
    /// If the run there has other settings, or is nobody's.
    pub(super) fn state(&self, out: &Path) -> Result<State, String> {
        let (path, record) = (out.join(&self.path), self.record(out));
        if record.is_file() {
            let text = fs::read_to_string(&record);
            let text = text.map_err(|e| format!("{}: {e}", record.display()))?;
            self.check_arguments(text.lines())
                .map_err(|difference| {
                    let shown = path.display();
                    format!("{shown}: it was begun with other settings: {difference}; give another --out, or remove it")
                })?;
        } else if path.exists() {
            let shown = path.display();
            return Err(format!(
                "{shown}: this ablation has not begun it; give another --out"
            ));
        }
        match &self.kind {
            Kind::View(_) if path.is_file() => Ok(State::Finished(0.0)),
            Kind::View(_) => Ok(State::New),
            // The page of a run is written last.
            _ if path.join("report.html").is_file() => self.finished(&path),
            _ if path.join("config.toml").is_file() => Ok(State::Begun),
            _ => Ok(State::New),
        }
    }

    fn finished(&self, path: &Path) -> Result<State, String> {
        let results = read_json(&path.join("results.json"))?;
        match (results["step"].as_u64(), results["seconds"].as_f64()) {
            (Some(step), Some(seconds)) if step == self.steps => Ok(State::Finished(seconds)),
            _ => Ok(State::Begun),
        }
    }

    /// The first difference of the arguments from those of an earlier run, as an error.
    pub(super) fn check_arguments<'a>(
        &self,
        mut theirs: impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        let mut ours = self.arguments.iter().map(String::as_str);
        loop {
            match (theirs.next(), ours.next()) {
                (None, None) => return Ok(()),
                (Some(a), Some(b)) if a == b => {}
                (a, b) => {
                    let shown = |word: Option<&str>| word.unwrap_or("nothing").to_owned();
                    return Err(format!("{} there, {} here", shown(a), shown(b)));
                }
            }
        }
    }

    /// Whether it reads the run of another job, at `path`.
    pub(super) fn reads(&self, path: &Path) -> bool {
        let path = path.to_string_lossy();
        let mut arguments = self.arguments.iter();
        arguments.any(|word| *word == path || word.strip_prefix("from=") == Some(&path))
    }

    /// Arguments that start it, or continue it.
    pub(super) fn arguments_for(&self, state: State) -> Vec<String> {
        match state {
            State::Begun => {
                let resume = ["pretrain", "--resume"].map(str::to_owned);
                let mut arguments = resume.to_vec();
                arguments.push(self.path.display().to_string());
                let device = self.arguments.iter().skip_while(|word| *word != "--device");
                arguments.extend(device.take(2).cloned());
                arguments
            }
            _ => self.arguments.clone(),
        }
    }
}

pub(super) fn read_json(path: &Path) -> Result<Value, String> {
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let text = fs::read_to_string(path).map_err(|e| failed(&e))?;
    serde_json::from_str(&text).map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn jobs(name: &str, variant: &str) -> Vec<Job> {
        let plan = Plan::named(name).unwrap();
        let jobs = Jobs {
            plan: &plan,
            device: "flex",
        };
        let variant = plan.variants.iter().find(|v| v.name == variant).unwrap();
        jobs.variant(variant, 2)
    }

    #[test]
    fn jobs_follow_what_they_need() {
        let full = jobs("generalization", "full");
        let paths: Vec<String> = full
            .iter()
            .map(|job| job.path.display().to_string())
            .collect();
        assert_eq!(
            paths[..3],
            ["full/2/pretrain", "full/2/vqa", "full/2/vqa.unseen.txt"]
        );
        let scratch = jobs("generalization", "scratch");
        let command = scratch[0].arguments.join(" ");
        assert!(
            command.starts_with(
                "finetune vqa --from full/2/pretrain --from-scratch --out scratch/2/vqa "
            ),
            "{command}"
        );
        let warm = jobs("soho", "warm-full");
        assert!(
            warm[0]
                .arguments
                .contains(&"from=backbone/2/pretrain".to_owned())
        );
    }

    #[test]
    fn a_run_is_new_begun_and_finished() {
        let out = tempfile::tempdir().unwrap();
        let out = out.path();
        let job = &jobs("e2e-vlp", "full")[0];
        assert_eq!(job.state(out), Ok(State::New));
        job.write_record(out).unwrap();
        assert_eq!(job.state(out), Ok(State::New));
        let run = out.join(&job.path);
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("config.toml"), "").unwrap();
        assert_eq!(job.state(out), Ok(State::Begun));
        let resume = job.arguments_for(State::Begun).join(" ");
        assert_eq!(resume, "pretrain --resume full/2/pretrain --device flex");
        let results = |step: u64| {
            let results = serde_json::json!({"step": step, "seconds": 7.5});
            fs::write(run.join("results.json"), results.to_string()).unwrap();
        };
        // Killed between the results and the page.
        results(job.steps);
        assert_eq!(job.state(out), Ok(State::Begun));
        fs::write(run.join("report.html"), "").unwrap();
        assert_eq!(job.state(out), Ok(State::Finished(7.5)));
        results(job.steps - 1);
        assert_eq!(job.state(out), Ok(State::Begun));
    }

    #[test]
    fn other_settings_and_runs_of_others_are_refused() {
        let out = tempfile::tempdir().unwrap();
        let out = out.path();
        let job = &jobs("e2e-vlp", "full")[0];
        fs::create_dir_all(out.join(&job.path)).unwrap();
        assert!(job.state(out).unwrap_err().contains("has not begun it"));
        job.write_record(out).unwrap();
        let mut other = job.clone();
        let flag = other.arguments.iter().position(|word| word == "--steps");
        let steps = flag.unwrap() + 1;
        other.arguments[steps] = "40".into();
        let error = other.state(out).unwrap_err();
        let expected = format!("{} there, 40 here", job.steps);
        assert!(error.contains(&expected), "{error}");
        other.arguments = job.arguments[..3].to_vec();
        let error = other.state(out).unwrap_err();
        assert!(error.contains("there, nothing here"), "{error}");
    }
}
