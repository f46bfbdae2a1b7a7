//! A real Slurm: srun, a killed task, and a batch job that is stopped and starts again.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::job::{Job, send};
use super::lab::{LIMIT, Lab, is_root, new_run, settings};
use super::slurm_daemons::{Daemons, INTERVAL};
use super::{Failure, Outcome, run_files};
use crate::processes::wait;

pub(super) fn run(lab: &Lab) -> Outcome {
    if !is_root() {
        return Err(Failure::Skipped("Slurm's daemons need root".into()));
    }
    let commands = ["munged", "slurmctld", "slurmd", "srun", "sbatch"];
    let packages = [
        "munge",
        "slurmctld",
        "slurmd",
        "slurm-client",
        "slurm-wlm-basic-plugins",
    ];
    lab.require(&commands, &packages)?;
    let start = Instant::now();
    let slurm = Daemons::start()?;
    println!("  Slurm started in {:.1} s", start.elapsed().as_secs_f64());
    let case = Case {
        lab,
        slurm,
        settings: settings("e2e-vlp-tiny", 4, 10),
    };
    let folder = lab.fresh("slurm")?;
    let unbroken = folder.join("unbroken");
    lab.train(0, &unbroken, &case.settings)?;
    case.equal(&unbroken, &folder.join("srun"))?;
    case.no_pmi(&folder.join("no-pmi"))?;
    case.kill(&unbroken, &folder.join("kill"))?;
    case.requeue(&unbroken, &folder.join("batch"))?;
    Ok(())
}

struct Case<'a> {
    lab: &'a Lab,
    slurm: Daemons,
    settings: Vec<String>,
}

impl Case<'_> {
    /// `vlp` in 4 tasks.
    fn srun(&self, pmi: &str) -> Command {
        let mut command = self.slurm.command("srun");
        self.lab.set_variables(&mut command);
        command.args(["--ntasks=4", "--overcommit", "--kill-on-bad-exit=1"]);
        command.arg(format!("--mpi={pmi}")).arg(&self.lab.program);
        command
    }

    fn start(&self, run: &Path) -> Result<Job, String> {
        let mut command = self.srun("pmix");
        command.args(new_run(run, &self.settings));
        self.lab.start(command, run)
    }

    fn equal(&self, unbroken: &Path, run: &Path) -> Result<(), String> {
        let start = Instant::now();
        self.start(run)?.wait(LIMIT)?.expect(0)?;
        let files = run_files::compare(unbroken, run)?;
        let seconds = start.elapsed().as_secs_f64();
        println!("  srun --mpi=pmix, 4 tasks: {files} files equal, {seconds:.1} s");
        Ok(())
    }

    /// Without the protocol of the MPI library, each task is alone.
    fn no_pmi(&self, run: &Path) -> Result<(), String> {
        let mut command = self.srun("none");
        command.args(new_run(run, &self.settings));
        let output = self.lab.end(command, run)?.expect(1)?;
        // An Open MPI that knows of Slurm refuses by itself.
        let messages = [
            "a launcher started 4 processes (it set SLURM_STEP_NUM_TASKS), but MPI joined 1: ",
            "The application appears to have been direct launched using \"srun\"",
        ];
        let is_refused = messages.iter().any(|message| output.contains(message));
        if !is_refused || run.exists() {
            return Err(format!("srun --mpi=none: not refused, {output}"));
        }
        println!("  srun --mpi=none: refused with 1");
        Ok(())
    }

    fn kill(&self, unbroken: &Path, run: &Path) -> Result<(), String> {
        let mut job = self.start(run)?;
        job.wait_until("a step", LIMIT, |_| run_files::logged_lines(run) > 3)?;
        let process = job.processes().pop().ok_or("all tasks have ended")?;
        send("KILL", &process.id.to_string());
        let start = Instant::now();
        job.wait(Duration::from_secs(15))?.expect(137)?;
        let seconds = start.elapsed().as_secs_f64();
        let mut command = self.srun("pmix");
        command.args(["pretrain", "--resume"]).arg(run);
        self.lab.finish(command, run)?;
        let files = run_files::compare(unbroken, run)?;
        println!(
            "  task killed: step ended after {seconds:.1} s with 137; {files} files equal when resumed"
        );
        Ok(())
    }

    /// A batch job that gets SIGTERM, as before its time limit, and puts itself into the queue again.
    fn requeue(&self, unbroken: &Path, run: &Path) -> Result<(), String> {
        let arguments = new_run(run, &self.settings).join(" ");
        let (run_path, program) = (run.display(), self.lab.program.display());
        let text = format!(
            "#SBATCH --ntasks=4 --overcommit --requeue --open-mode=append --signal=TERM@30
if [ -e {run_path}/config.toml ]; then set -- pretrain --resume {run_path}; else set -- {arguments}; fi
srun --overcommit --mpi=pmix --kill-on-bad-exit=1 {program} \"$@\"
code=$?
[ $code = 75 ] && scontrol requeue $SLURM_JOB_ID
exit $code
"
        );
        let folder = run.parent().unwrap_or(run);
        let script = Lab::script(folder, "batch.sh", &text)?;
        let output = folder.join("batch.log");
        let mut submit = self.slurm.command("sbatch");
        self.lab.set_variables(&mut submit);
        submit
            .args(["--parsable", "--output"])
            .arg(&output)
            .arg(script);
        let submitted = submit.output().map_err(|e| format!("sbatch: {e}"))?;
        let job = String::from_utf8_lossy(&submitted.stdout).trim().to_owned();
        self.wait("3 steps of the batch job", &output, || {
            run_files::logged_lines(run) > 2
        })?;
        let _ = self.slurm.output("scancel", &["--signal=TERM", &job]);
        let state = || {
            self.slurm
                .output("squeue", &["--noheader", "--format=%T", "--jobs", &job])
        };
        self.wait("the requeued job", &output, || state() == "PENDING")?;
        let printed = fs::read_to_string(&output).unwrap_or_default();
        if !printed.contains("stopped after step ") {
            return Err(format!("the batch job did not stop at a step; {printed}"));
        }
        self.wait("the end of the batch job", &output, || {
            !matches!(state().as_str(), "PENDING" | "RUNNING" | "COMPLETING")
        })?;
        let files = run_files::compare_stopped(unbroken, run)?;
        println!(
            "  sbatch: SIGTERM saved a step, the job was requeued and ended; {files} files equal"
        );
        Ok(())
    }

    fn wait(&self, what: &str, output: &Path, condition: impl Fn() -> bool) -> Result<(), String> {
        match wait::until(INTERVAL, LIMIT, || Ok(condition()))? {
            true => Ok(()),
            false => {
                let output = fs::read_to_string(output).unwrap_or_default();
                let seconds = LIMIT.as_secs();
                Err(format!("{what}: not within {seconds} s; {output}"))
            }
        }
    }
}
