//! Commands whose writing is disturbed, and what must be true of their output afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use super::calls::{self, Call, is_temporary};
use super::disk::{Disk, Loss, Tree};
use super::lab::{Lab, copy_folder};
use super::tiny;
use crate::processes::run_files;

/// Placeholder of the output in the arguments of a subject.
const OUT: &str = "OUT";

/// A command that writes `out`, or `out.EXTENSION`, into the folder of a case.
pub(super) struct Subject {
    pub(super) name: &'static str,
    arguments: Vec<String>,
    /// What is in the folder of a case before.
    start: Option<PathBuf>,
    /// What is in it afterwards, if nothing happens.
    end: PathBuf,
    kind: Kind,
    /// The step that a run has been trained to before, and that it is trained to; 0 of what is no run.
    started: usize,
    ended: usize,
}

/// How the output changes from the old state to the new one.
enum Kind {
    /// A run, which is resumed from its newest checkpoint.
    Run,
    /// A folder that appears as a whole.
    Whole,
    /// An index, which the same command goes on with, and which is refused until it is complete.
    Index,
    /// Files, each of which is the old one or the new one.
    Files,
}

/// Result of a command that was disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Old,
    New,
    /// Of a run or an index.
    Between,
}

/// Name and arguments of a command that writes files, and the arguments that gave the old state, if there is one.
type Case<'a> = (&'static str, &'a [&'a str], Option<&'a [&'a str]>);

impl Subject {
    /// A run of so many steps, from its start or from after step `resumed`.
    pub(super) fn training(
        lab: &Lab,
        preset: &str,
        steps: usize,
        resumed: Option<usize>,
    ) -> Result<Self, String> {
        let name = match resumed {
            None => "run",
            Some(_) => "resume",
        };
        let folder = lab.fresh(&format!("subjects/{name}-{preset}"))?;
        let (start, end) = (folder.join("start"), folder.join("end"));
        let settings = tiny::settings(preset, steps);
        let train = |run: &Path, more: &[String]| {
            let arguments = [tiny::new_run(run, &settings), more.to_vec()].concat();
            lab.vlp(&arguments).run()?.expect(0)
        };
        train(&end.join("out"), &[])?;
        if let Some(step) = resumed {
            train(&start.join("out"), &["--stop-at".into(), step.to_string()])?;
        }
        let out = Path::new(OUT);
        Ok(Self {
            name,
            arguments: match resumed {
                None => tiny::new_run(out, &settings),
                Some(_) => tiny::resume(out),
            },
            start: resumed.map(|_| start),
            end,
            kind: Kind::Run,
            started: resumed.unwrap_or(0),
            ended: steps,
        })
    }

    /// `scenes` and `index`.
    pub(super) fn sets(lab: &Lab) -> Result<Vec<Self>, String> {
        let folder = lab.fresh("subjects/sets")?;
        let run = folder.join("run");
        let mut settings = tiny::settings("e2e-vlp-tiny", 1);
        settings.extend(tiny::set(&["objectives.itc.dim=8"]));
        lab.vlp(&tiny::new_run(&run, &settings)).run()?.expect(0)?;
        let run = run.display().to_string();
        // By hand, two segments.
        let count = format!("data.scenes.count={}", lab.count(8, 260));
        let cases: [Case<'_>; 2] = [
            ("scenes", &["scenes", "--count", "3", "--out", OUT], None),
            (
                "index",
                &["index", &run, "scenes", "--set", &count, "--out", OUT],
                None,
            ),
        ];
        Self::all(lab, &folder, &cases)
    }

    /// `data pack`, `weights export`, `predict`, `evaluate --results`, `data view`, `data check --json`, of a run and of images.
    pub(super) fn outputs(lab: &Lab) -> Result<Vec<Self>, String> {
        let folder = lab.fresh("subjects/outputs")?;
        let path = |name: &str| folder.join(name).display().to_string();
        let settings = tiny::settings("e2e-vlp-tiny", 2);
        let keep = tiny::set(&["checkpoint.keep=2"]);
        let train = [tiny::new_run(&folder.join("run"), &settings), keep].concat();
        lab.vlp(&train).run()?.expect(0)?;
        let (images, run) = (path("images"), path("run"));
        lab.vlp(&["scenes", "--count", "3", "--out", &images])
            .run()?
            .expect(0)?;
        let image = |number| format!("{images}/train/00000000000{number}.png");
        let (image, other_image) = (image(0), image(1));
        let coco = format!("coco:{images}@train");
        let cases: [Case<'_>; 7] = [
            (
                "pack",
                // Two shards.
                &[
                    "data",
                    "pack",
                    "scenes",
                    "--shard-mb",
                    "1",
                    "--set",
                    "data.scenes.count=150",
                    "--out",
                    OUT,
                ],
                None,
            ),
            ("export", &["weights", "export", &run, OUT], None),
            (
                "export-file",
                &["weights", "export", &run, "OUT.safetensors"],
                None,
            ),
            (
                "predict",
                &["predict", &run, &image, "--out", OUT],
                Some(&["predict", &run, &other_image, "--out", OUT]),
            ),
            (
                "evaluate",
                &["evaluate", &run, "--results", OUT],
                Some(&["evaluate", &run, "--checkpoint", "1", "--results", OUT]),
            ),
            (
                "view",
                &["data", "view", &coco, "--out", "OUT.html"],
                Some(&["data", "view", &coco, "--out", "OUT.html", "--count", "1"]),
            ),
            (
                "check",
                &["data", "check", &coco, "--json", "OUT.json"],
                Some(&["data", "stats", &coco, "--json", "OUT.json"]),
            ),
        ];
        Self::all(lab, &folder, &cases)
    }

    /// Those of some cases, which are run in `folder`.
    fn all(lab: &Lab, folder: &Path, cases: &[Case<'_>]) -> Result<Vec<Self>, String> {
        let mut subjects = vec![];
        for &(name, arguments, old) in cases {
            let subject = Self {
                name,
                arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
                start: old.map(|_| folder.join(format!("{name}-start"))),
                end: folder.join(format!("{name}-end")),
                kind: match old {
                    None if name == "index" => Kind::Index,
                    None => Kind::Whole,
                    Some(_) => Kind::Files,
                },
                started: 0,
                ended: 0,
            };
            for (folder, arguments) in [
                (subject.start.as_ref(), old),
                (Some(&subject.end), Some(arguments)),
            ] {
                if let (Some(folder), Some(arguments)) = (folder, arguments) {
                    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
                    lab.vlp(&in_case(arguments, folder)).run()?.expect(0)?;
                }
            }
            subjects.push(subject);
        }
        Ok(subjects)
    }

    /// The arguments for a case.
    pub(super) fn arguments(&self, case: &Path) -> Vec<String> {
        let words: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        in_case(&words, case)
    }

    /// Puts what is there before into the folder of a case.
    pub(super) fn prepare(&self, case: &Path) -> Result<(), String> {
        match &self.start {
            Some(start) => copy_folder(start, case),
            None => Ok(()),
        }
    }

    /// The calls that the command makes if nothing happens, and the disk before them.
    pub(super) fn calls(&self, lab: &Lab) -> Result<(Disk, Vec<Call>), String> {
        let case = lab.fresh(&format!("subjects/calls-{}", self.name))?;
        self.prepare(&case)?;
        let disk = Disk::of(&case)?;
        let log = case.with_extension("log");
        let program = lab.vlp(&self.arguments(&case)).below(&case).log(&log);
        program.run()?.expect(0)?;
        let calls = calls::read(&log)?;
        let mut replayed = disk.clone();
        for call in &calls {
            replayed.apply(call)?;
        }
        match replayed.after(Loss::Nothing) == Disk::of(&case)?.after(Loss::Nothing) {
            true => Ok((disk, calls)),
            false => Err(format!(
                "{}: the log lacks changes of {}",
                self.name,
                case.display()
            )),
        }
    }

    /// The state of an output after a disturbed command.
    ///
    /// # Errors
    /// If it is neither old nor new.
    pub(super) fn state(&self, case: &Path) -> Result<State, String> {
        let tree = |folder: &Path| {
            Ok::<_, String>(without_temporaries(Disk::of(folder)?.after(Loss::Nothing)))
        };
        let (now, new) = (tree(case)?, tree(&self.end)?);
        let old = match &self.start {
            Some(start) => tree(start)?,
            None => Tree::new(),
        };
        match self.kind {
            Kind::Run => Ok(State::Between),
            _ if now == new => Ok(State::New),
            _ if now == old => Ok(State::Old),
            Kind::Index => Ok(State::Between),
            Kind::Files => {
                let is_either = |(path, bytes): (&PathBuf, &Option<Vec<u8>>)| {
                    [&old, &new]
                        .iter()
                        .any(|tree| tree.get(path) == Some(bytes))
                };
                let is_there = |path: &PathBuf| now.contains_key(path) || !old.contains_key(path);
                match now.iter().all(is_either) && old.keys().all(is_there) {
                    true => Ok(State::Between),
                    false => Err("a file is neither the old one nor the new one".into()),
                }
            }
            Kind::Whole => Err(format!(
                "neither nothing nor the whole, but {:?}",
                now.keys()
            )),
        }
    }

    /// The step that a run must be resumed from at least, after these calls.
    pub(super) fn durable_step(&self, calls: &[Call]) -> usize {
        calls::durable_step(calls).max(self.started)
    }

    /// The step that a run must be resumed from once the command has ended, whatever it has synced.
    pub(super) fn last_step(&self) -> usize {
        self.ended
    }

    /// Runs the command, or resumes the run, so that the output is that of an undisturbed command.
    pub(super) fn complete(
        &self,
        lab: &Lab,
        case: &Path,
        durable_step: usize,
    ) -> Result<(), String> {
        let out = case.join("out");
        let mut arguments = self.arguments(case);
        if let Kind::Run = self.kind {
            let sessions = event_files(&out);
            if out.join("config.toml").exists() {
                arguments = tiny::resume(&out);
            } else {
                arguments = self.new_run(&out)?;
            }
            lab.vlp(&arguments).run()?.expect(0)?;
            let step = resumed_step(&out, &sessions)?;
            if step < durable_step {
                return Err(format!(
                    "resumed from step {step}, but step {durable_step} was saved"
                ));
            }
            run_files::compare(&self.end.join("out"), &out)?;
            run_files::compare_reports(&self.end.join("out"), &out)?;
        } else {
            let state = self.state(case)?;
            if let (Kind::Index, State::Between) = (&self.kind, state) {
                let search = ["search", &out.display().to_string(), "--text", "a circle"];
                lab.vlp(&search).run()?.expect(1)?;
            }
            if state != State::New {
                lab.vlp(&arguments).run()?.expect(0)?;
            }
            if self.state(case)? != State::New {
                return Err("not new after the next command".into());
            }
        }
        no_temporaries(case)
    }

    /// In what a command was disturbed: `of_run` for a run.
    pub(super) fn phase(&self, of_run: impl FnOnce() -> String) -> String {
        match self.kind {
            Kind::Run => of_run(),
            _ => format!("inside `{}`", self.name),
        }
    }

    fn new_run(&self, out: &Path) -> Result<Vec<String>, String> {
        match self.start {
            None => Ok(self.arguments(out.parent().unwrap_or(out))),
            Some(_) => Err("the run is gone".into()),
        }
    }
}

fn in_case(arguments: &[&str], case: &Path) -> Vec<String> {
    let out = case.join("out").display().to_string();
    arguments
        .iter()
        .map(|word| word.replace(OUT, &out))
        .collect()
}

/// Fails if a name is left that should have been renamed or removed.
pub(super) fn no_temporaries(folder: &Path) -> Result<(), String> {
    let tree = Disk::of(folder)?.after(Loss::Nothing);
    let left = tree.keys().find(|path| has_temporary(path));
    match left {
        None => Ok(()),
        Some(path) => Err(format!("{} is left", path.display())),
    }
}

fn has_temporary(path: &Path) -> bool {
    path.iter()
        .any(|name| is_temporary(&name.to_string_lossy()))
}

/// A tree without temporary names, and without the empty root.
fn without_temporaries(tree: Tree) -> Tree {
    let entries = tree.into_iter();
    let entries = entries.filter(|(path, bytes)| !has_temporary(path) && bytes.is_some());
    entries.collect()
}

/// Names of the event files of a run: one for each session.
fn event_files(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("events.")).collect()
}

/// The step that the session began with whose event file is not among `sessions`.
fn resumed_step(run: &Path, sessions: &[String]) -> Result<usize, String> {
    let names = event_files(run);
    let name = names.iter().find(|name| !sessions.contains(name));
    let step = name.and_then(|name| name.split(".vlp.").nth(1)?.split('.').next()?.parse().ok());
    step.ok_or_else(|| "no event file of the session".into())
}
