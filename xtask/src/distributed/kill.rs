//! Processes that are killed, hang, panic or fail.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::job::{Job, send};
use super::lab::{LIMIT, Lab, new_run, settings};
use super::random::Random;
use super::{Outcome, run_files};

const PROCESSES: usize = 3;
/// `--longest-wait` of all runs, in seconds.
const LONGEST_WAIT: u64 = 10;
/// From a failure to the end of all processes.
const GRACE: Duration = Duration::from_secs(LONGEST_WAIT + 5);

pub(super) fn run(lab: &Lab) -> Outcome {
    let case = Case::new(lab)?;
    let seed = lab.options.seed;
    println!("  seed {seed}");
    let mut random = Random(seed);
    for kill in 1..=lab.options.kills {
        case.signal(&format!("kill-{kill}"), "KILL", 137, &mut random)?;
    }
    case.signal("stop", "STOP", 4, &mut random)?;
    // No thread gets a stack of 2^60 bytes, and std::thread::spawn panics.
    let panic = "export RUST_MIN_STACK=1152921504606846976";
    case.fail("panic", panic, 101, "panicked at")?;
    case.fail(
        "error",
        "export VLP_SIMD=none",
        1,
        "error: rank 1: VLP_SIMD",
    )?;
    Ok(())
}

struct Case<'a> {
    lab: &'a Lab,
    folder: PathBuf,
    settings: Vec<String>,
    /// The uninterrupted run.
    unbroken: PathBuf,
    /// How long it trains.
    duration: Duration,
}

impl<'a> Case<'a> {
    fn new(lab: &'a Lab) -> Result<Self, String> {
        let mut case = Self {
            lab,
            folder: lab.fresh("kill")?,
            settings: settings("e2e-vlp-tiny", 4, 10),
            unbroken: PathBuf::new(),
            duration: Duration::ZERO,
        };
        case.unbroken = case.folder.join("unbroken");
        let mut job = case.start(&case.unbroken)?;
        let start = Instant::now();
        job.wait(LIMIT)?.expect(0)?;
        case.duration = start.elapsed();
        Ok(case)
    }

    /// Starts a run and waits for its processes.
    fn start(&self, run: &Path) -> Result<Job, String> {
        let mut command = self.lab.launch(PROCESSES, &self.lab.program);
        command
            .args(new_run(run, &self.settings))
            .args(longest_wait());
        let mut job = self.lab.start(command, run)?;
        job.wait_until("processes", LIMIT, |job| job.processes().len() == PROCESSES)?;
        Ok(job)
    }

    /// Sends a signal to one process at a random moment.
    fn signal(
        &self,
        name: &str,
        signal: &str,
        code: i32,
        random: &mut Random,
    ) -> Result<(), String> {
        let run = self.folder.join(name);
        let rank = random.below(PROCESSES);
        let moment = self.duration.mul_f64(0.8 * random.fraction());
        let processes = 1 + random.below(4);
        let mut job = self.start(&run)?;
        std::thread::sleep(moment);
        let process = job
            .processes()
            .into_iter()
            .find(|process| process.rank == rank);
        let process = process.ok_or_else(|| format!("{name}: rank {rank} has ended before"))?;
        send(signal, &process.id.to_string());
        let start = Instant::now();
        let ended = job.wait(GRACE).map_err(|why| format!("{name}: {why}"))?;
        let seconds = start.elapsed().as_secs_f64();
        ended
            .expect_of_mpirun(code)
            .map_err(|why| format!("{name}: {why}"))?;
        let steps = run_files::logged_lines(&run);
        let start = Instant::now();
        self.resume(processes, &run)?;
        println!(
            "  {name}: rank {rank} after {:.2} s ({steps} lines logged): all gone after {seconds:.1} s with {code}; equal \
             after {:.1} s more on {processes}",
            moment.as_secs_f64(),
            start.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Resumes a run with an environment in which rank 1 fails at its start.
    fn fail(&self, name: &str, fault: &str, code: i32, message: &str) -> Result<(), String> {
        let run = self.folder.join(name);
        let mut stopped = self.settings.clone();
        // A step that the unbroken run saves, too.
        stopped.extend(["--stop-at".into(), "4".into()]);
        self.lab.train(0, &run, &stopped)?;
        let text = format!("[ $OMPI_COMM_WORLD_RANK = 1 ] && {fault}\nexec \"$VLP\" \"$@\"\n");
        let script = Lab::script(&self.folder, &format!("{name}.sh"), &text)?;
        let mut command = self.lab.launch(PROCESSES, &script);
        command
            .args(["pretrain", "--resume"])
            .arg(&run)
            .args(longest_wait());
        let start = Instant::now();
        let ended = self.lab.start(command, &run)?.wait(GRACE);
        let seconds = start.elapsed().as_secs_f64();
        let output = ended
            .and_then(|ended| ended.expect_of_mpirun(code))
            .map_err(|why| format!("{name}: {why}"))?;
        if !output.contains(message) {
            return Err(format!("{name}: no {message:?} in {output}"));
        }
        self.resume(PROCESSES, &run)?;
        println!(
            "  {name} of rank 1: all gone {seconds:.1} s after the launch with {code}; equal when resumed"
        );
        Ok(())
    }

    fn resume(&self, processes: usize, run: &Path) -> Result<(), String> {
        self.lab.resume(processes, run, &self.settings)?;
        run_files::compare(&self.unbroken, run)?;
        Ok(())
    }
}

fn longest_wait() -> [String; 2] {
    ["--longest-wait".into(), LONGEST_WAIT.to_string()]
}
