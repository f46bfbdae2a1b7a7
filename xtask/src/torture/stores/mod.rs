//! A training set in an object store whose server answers wrongly.

mod objects;
mod server;
mod trouble;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lab::Lab;
use super::png;
use super::program::Program;
use super::subject::no_temporaries;
use super::tiny;
use crate::processes::random::Random;
use crate::processes::run_files;
use crate::processes::scenario::Outcome as ScenarioOutcome;
use objects::Objects;
use server::{PLACE, Server};
use trouble::{Kind, Outcome, Trouble};

/// Images of the set, and their size: shards of two blocks of what is read at once.
const IMAGES: usize = 16;
const SIZE: (usize, usize) = (1024, 600);
const SHARD_MIB: &str = "14";

/// After which a command hangs, in seconds.
const LIMIT: &str = "120";
/// Commands that run at once: most of them wait.
const AT_ONCE: usize = 6;

pub(super) fn run(lab: &Lab) -> ScenarioOutcome<String> {
    let program = lab.build_cloud()?;
    let objects = Arc::new(pack(lab, &program)?);
    let mut subjects = vec![];
    for is_s3 in [true, false] {
        for command in [
            Command::Pretrain { workers: 0 },
            Command::Pretrain { workers: 2 },
            Command::Check,
        ] {
            subjects.push(Subject::new(lab, &program, &objects, is_s3, command)?);
        }
    }
    let mut random = Random(lab.options.seed);
    let mut cases = vec![];
    for _ in 0..lab.count(1, 24) {
        for kind in trouble::kinds() {
            let subject = loop {
                let subject = &subjects[random.below(subjects.len())];
                if !(kind == Kind::NoVersion && subject.is_s3) {
                    break subject;
                }
            };
            cases.push(Case {
                subject,
                trouble: Trouble::draw(kind, subject.requests, &mut random),
            });
        }
    }
    let ended = lab.each_at_once(AT_ONCE, &cases, |index, case| {
        case.check(lab, &objects, index)
            .map_err(|why| format!("{}: {why}", case.describe()))
    })?;
    let finished = ended.iter().filter(|finished| **finished).count();
    Ok(format!(
        "{} commands against S3 and web servers that misbehave in {} ways: {finished} end with the correct result, {} with an error that names the object and, when repeated, with the correct result; each within {LIMIT} s",
        cases.len(),
        trouble::kinds().count(),
        cases.len() - finished
    ))
}

/// The files of a packed set of noise.
fn pack(lab: &Lab, program: &Path) -> Result<Objects, String> {
    let folder = lab.fresh("stores/data")?;
    let path = |name: &str| folder.join(name).display().to_string();
    let mut random = Random(lab.options.seed);
    let mut lines = String::new();
    for number in 0..IMAGES {
        let name = format!("{number}.png");
        let image = png::noise(SIZE.0, SIZE.1, &mut random).map_err(|e| format!("{name}: {e}"))?;
        fs::write(folder.join(&name), image).map_err(|e| format!("{name}: {e}"))?;
        let color = ["red", "green", "blue"][number % 3];
        let boxes = "[{\"bbox\": [9, 9, 99, 99], \"label\": \"circle\"}]";
        lines += &format!(
            "{{\"image\": \"{name}\", \"caption\": \"a {color} circle {number}\", \"boxes\": {boxes}}}\n"
        );
    }
    fs::write(folder.join("set.jsonl"), lines).map_err(|e| format!("set.jsonl: {e}"))?;
    let (source, set) = (format!("json:{}", path("set.jsonl")), path("set"));
    let words = [
        "data",
        "pack",
        &source,
        "--out",
        &set,
        "--shard-mb",
        SHARD_MIB,
    ];
    lab.vlp_of(program, &words).run()?.expect(0)?;
    objects::read(Path::new(&set))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    /// The number of loader threads.
    Pretrain {
        workers: usize,
    },
    Check,
}

/// A command that reads a set, and what it gives without trouble.
struct Subject {
    program: PathBuf,
    command: Command,
    is_s3: bool,
    end: PathBuf,
    requests: usize,
}

impl Subject {
    fn new(
        lab: &Lab,
        program: &Path,
        objects: &Arc<Objects>,
        is_s3: bool,
        command: Command,
    ) -> Result<Self, String> {
        let mut subject = Self {
            program: program.into(),
            command,
            is_s3,
            end: PathBuf::new(),
            requests: 0,
        };
        subject.end = lab.fresh(&format!("stores/{}", subject.name()))?;
        let server = Server::start(Arc::clone(objects), None)?;
        let folder = subject.end.clone();
        let program = subject.start(lab, &server, &folder, "60")?;
        program.run()?.expect(0)?;
        subject.requests = server.requests();
        Ok(subject)
    }

    fn name(&self) -> String {
        let command = match self.command {
            Command::Pretrain { workers: 0 } => "pretrain",
            Command::Pretrain { .. } => "pretrain-threads",
            Command::Check => "check",
        };
        let store = if self.is_s3 { "s3" } else { "http" };
        format!("{command}-{store}")
    }

    /// The command, with its output in `folder`; a run that is there is resumed.
    fn start(
        &self,
        lab: &Lab,
        server: &Server,
        folder: &Path,
        patience: &str,
    ) -> Result<Program, String> {
        let place = self.place();
        let out = folder.join("out");
        let words = match self.command {
            Command::Pretrain { .. } if out.join("config.toml").exists() => tiny::resume(&out),
            Command::Pretrain { workers } => {
                let mut settings = tiny::settings("e2e-vlp-tiny", 6);
                settings.extend(tiny::set(&[
                    &format!("data.source=shards:{place}"),
                    &format!("data.workers={workers}"),
                    "data.resize={kind=\"square\", side=32}",
                    "data.validation_fraction=0.3",
                    "data.window=6",
                    "eval.every=3",
                ]));
                tiny::new_run(&out, &settings)
            }
            Command::Check => {
                let (source, report) = (format!("shards:{place}"), out.display().to_string());
                let words = ["data", "check", &source, "--json", &report];
                words.map(str::to_owned).to_vec()
            }
        };
        let scratch = folder.join("scratch");
        fs::create_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
        let program = lab.vlp_of(&self.program, &words);
        Ok(program
            .with("VLP_STORE_TIMEOUT", patience)
            .with("TORTURE_SECONDS", LIMIT)
            .with("TMPDIR", scratch)
            .with("AWS_ENDPOINT", server.url())
            .with(
                "http_proxy",
                if self.is_s3 {
                    String::new()
                } else {
                    server.url()
                },
            )
            .with("no_proxy", "")
            .with("AWS_ALLOW_HTTP", "true")
            .with("AWS_REGION", "us-east-1")
            .with("AWS_ACCESS_KEY_ID", "test")
            .with("AWS_SECRET_ACCESS_KEY", "test"))
    }

    /// The URL of the set. It is the same in every run: a run keeps it in its configuration.
    fn place(&self) -> String {
        match self.is_s3 {
            true => format!("s3://{PLACE}"),
            // Its requests come by a proxy.
            false => format!("http://store.invalid/{PLACE}"),
        }
    }

    /// Fails if the output in `folder` is not the one without trouble.
    fn compare(&self, folder: &Path) -> Result<(), String> {
        let (end, out) = (self.end.join("out"), folder.join("out"));
        if self.command != Command::Check {
            return run_files::compare(&end, &out).map(|_| ());
        }
        let read = |path: &Path| fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
        match read(&end)? == read(&out)? {
            true => Ok(()),
            false => Err("another report".into()),
        }
    }
}

/// A command on a server that answers wrongly.
struct Case<'a> {
    subject: &'a Subject,
    trouble: Trouble,
}

impl Case<'_> {
    fn describe(&self) -> String {
        format!("{}, {}", self.subject.name(), self.trouble.describe())
    }

    /// Returns whether the command has ended well.
    fn check(&self, lab: &Lab, objects: &Arc<Objects>, index: usize) -> Result<bool, String> {
        let case = lab.fresh(&format!("stores/{index}"))?;
        let subject = self.subject;
        let server = Server::start(Arc::clone(objects), Some(self.trouble))?;
        let patience = self.trouble.patience();
        let program = subject.start(lab, &server, &case, patience)?;
        let ended = program.run()?;
        let has_finished = ended.code == Some(0);
        let expected = self.trouble.outcome(server.spoiled_bodies_only());
        if expected != Outcome::Either && has_finished != (expected == Outcome::Result) {
            return Err(format!(
                "{expected:?} expected, but code {:?}: {}",
                ended.code, ended.output
            ));
        }
        if server.too_early() > 0 {
            let count = server.too_early();
            return Err(format!("{count} requests earlier than `Retry-After` says"));
        }
        no_temporaries(&case)?;
        if !has_finished {
            let output = ended.expect(1)?;
            if !output.contains(&subject.place()) {
                return Err(format!("neither object nor set is named in {output:?}"));
            }
            server.mend();
            let second = subject.start(lab, &server, &case, "60")?.run()?;
            second.expect(0).map_err(|why| format!("then {why}"))?;
        }
        subject.compare(&case)?;
        let scratch = case.join("scratch");
        let mut left = fs::read_dir(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
        if let Some(Ok(entry)) = left.next() {
            return Err(format!("{} is left", entry.path().display()));
        }
        fs::remove_dir_all(&case).map_err(|e| format!("{}: {e}", case.display()))?;
        Ok(has_finished)
    }
}
