//! The programs of all scenarios, and the launches that they have in common.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Failure;
use super::job::{Ended, Job};
use super::options::Options;
use crate::processes::{folders, settings};

/// Longer than any job of a scenario takes.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

pub(super) struct Lab {
    pub(super) options: Options,
    pub(super) root: PathBuf,
    /// Runs, outputs and programs.
    pub(super) folder: PathBuf,
    /// `vlp` with MPI.
    pub(super) program: PathBuf,
    /// `vlp` without MPI.
    pub(super) without_mpi: PathBuf,
    /// The example of `vlp-distributed` that prints a hash of a sum.
    pub(super) tree_sum: PathBuf,
    mpirun: &'static str,
}

impl Lab {
    pub(super) fn new(root: &Path, options: Options) -> Result<Self, String> {
        let folder = root.join("target/distributed");
        let lab = Self {
            root: root.into(),
            program: folder.join("vlp"),
            without_mpi: folder.join("vlp-without-mpi"),
            tree_sum: folder.join("tree_sum"),
            mpirun: open_mpi()?,
            folder,
            options,
        };
        if lab.options.build {
            lab.build()?;
        }
        Ok(lab)
    }

    /// Builds the programs.
    fn build(&self) -> Result<(), String> {
        let start = Instant::now();
        fs::create_dir_all(&self.folder).map_err(|e| format!("{}: {e}", self.folder.display()))?;
        let vlp = ["--package", "vlp"];
        let example = ["--package", "vlp-distributed", "--example", "tree_sum"];
        let mpi = ["--features", "mpi"];
        for (arguments, built, copy) in [
            ([&vlp[..], &[]].concat(), "vlp", &self.without_mpi),
            ([&vlp[..], &mpi].concat(), "vlp", &self.program),
            (
                [&example[..], &mpi].concat(),
                "examples/tree_sum",
                &self.tree_sum,
            ),
        ] {
            folders::build(&self.root, &arguments, built, copy)?;
        }
        println!("built in {:.0} s", start.elapsed().as_secs_f64());
        Ok(())
    }

    /// An empty folder.
    pub(super) fn fresh(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.folder.join("runs").join(name);
        folders::empty(&folder)?;
        Ok(folder)
    }

    /// An executable shell script in `folder`.
    pub(super) fn script(folder: &Path, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = folder.join(name);
        let failed = |e| format!("{}: {e}", path.display());
        fs::write(&path, format!("#!/bin/sh\n{text}")).map_err(failed)?;
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&path, executable).map_err(failed)?;
        Ok(path)
    }

    /// `program` in several processes on this host; in one without a launcher if there are 0.
    pub(super) fn launch(&self, processes: usize, program: &Path) -> Command {
        let mut command = match processes {
            0 => Command::new(program),
            _ => {
                let mut command = Command::new(self.mpirun);
                command.args(["-n", &processes.to_string(), "--oversubscribe"]);
                command.args(["--bind-to", "none"]).arg(program);
                command
            }
        };
        self.set_variables(&mut command);
        command
    }

    /// `mpirun` without arguments.
    pub(super) fn mpirun(&self) -> Command {
        let mut command = Command::new(self.mpirun);
        self.set_variables(&mut command);
        command
    }

    /// A thread for each process, which yields its core while it waits.
    pub(super) fn set_variables(&self, command: &mut Command) {
        command
            .env("RAYON_NUM_THREADS", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .env("OMPI_MCA_mpi_yield_when_idle", "1")
            .env("VLP", &self.program);
    }

    /// Starts a job of `vlp` that has the run folder `run`.
    pub(super) fn start(&self, command: Command, run: &Path) -> Result<Job, String> {
        let name = run.file_name().unwrap_or_default().to_string_lossy();
        let output = run.with_file_name(format!("{name}.log"));
        Job::start(command, &self.program, run, output)
    }

    /// Trains a new run in several processes, to the end.
    pub(super) fn train(&self, processes: usize, run: &Path, set: &[String]) -> Result<(), String> {
        let mut command = self.launch(processes, &self.program);
        command.args(new_run(run, set));
        self.finish(command, run)
    }

    /// Resumes a run in several processes, to the end; starts it where it was killed before it began.
    pub(super) fn resume(
        &self,
        processes: usize,
        run: &Path,
        set: &[String],
    ) -> Result<(), String> {
        let mut command = self.launch(processes, &self.program);
        match run.join("config.toml").exists() {
            true => command.args(["pretrain", "--resume"]).arg(run),
            false => command.args(new_run(run, set)),
        };
        self.finish(command, run)
    }

    /// Runs a job that ends well.
    pub(super) fn finish(&self, command: Command, run: &Path) -> Result<(), String> {
        self.end(command, run)?.expect(0)?;
        Ok(())
    }

    /// Runs a job to its end.
    pub(super) fn end(&self, command: Command, run: &Path) -> Result<Ended, String> {
        self.start(command, run)?.wait(LIMIT)
    }

    /// Installs Debian packages if one of `commands` is missing and the options say so.
    pub(super) fn require(&self, commands: &[&str], packages: &[&str]) -> Result<(), Failure> {
        let missing = || commands.iter().find(|command| !is_command(command));
        if missing().is_some() && self.options.install {
            let install = format!(
                "apt-get update -qq && apt-get install -y -qq --no-install-recommends {}",
                packages.join(" ")
            );
            let mut shell = Command::new("sh");
            shell.args(["-c", &install]).stdout(Stdio::null());
            shell
                .stderr(Stdio::null())
                .env("DEBIAN_FRONTEND", "noninteractive");
            // What is still missing is reported.
            let _ = shell.status();
        }
        match missing() {
            None => Ok(()),
            Some(command) => {
                let packages = packages.join(" ");
                let reason = match self.options.install {
                    true => {
                        format!("{command} is not there, and apt-get install {packages} failed")
                    }
                    false => format!("{command} is not there (Debian: {packages}; --install)"),
                };
                Err(Failure::Skipped(reason))
            }
        }
    }
}

/// Arguments of a new run.
pub(super) fn new_run(run: &Path, set: &[String]) -> Vec<String> {
    let words = ["pretrain", "--quick", "--out"].map(str::to_owned);
    let run = run.display().to_string();
    words
        .into_iter()
        .chain([run])
        .chain(set.iter().cloned())
        .collect()
}

/// A short run with what [`settings::base`] has, of 16 examples a step.
pub(super) fn settings(preset: &str, micro_batches: usize, steps: usize) -> Vec<String> {
    let mut words = settings::base(preset, steps);
    words.extend(settings::set(&[
        &format!("train.accumulate={micro_batches}"),
        &format!("data.batch_size={}", 16 / micro_batches),
        "checkpoint.every=2",
        "checkpoint.keep=99",
        "eval.every=4",
        "eval.examples=8",
    ]));
    words
}

/// The launcher of Open MPI, which may not be the default one.
fn open_mpi() -> Result<&'static str, String> {
    let is_open_mpi = |name: &&str| {
        let output = Command::new(name).arg("--version").output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("Open MPI"))
    };
    let launcher = ["mpirun.openmpi", "mpirun"].into_iter().find(is_open_mpi);
    launcher.ok_or_else(|| "no mpirun of Open MPI (Debian: openmpi-bin libopenmpi-dev)".into())
}

pub(super) fn is_command(name: &str) -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", "command -v \"$1\" >/dev/null", "sh", name]);
    shell.status().is_ok_and(|status| status.success())
}

/// Whether this user may do what only root may.
pub(super) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout == b"0\n")
}
