//! Readers under coverage-guided fuzzing: libFuzzer through `cargo fuzz`, with the address sanitizer.
//!
//! What the targets check is in `crates/vlp-fuzz`. Inputs that reach new code are kept in `target/torture/fuzz` from run to run,
//! the number of inputs that were run on the present code in `fuzz/counts`.

mod counts;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::lab::Lab;
use super::options::FUZZ;
use crate::peer::machine;
use crate::processes::folders;
use crate::processes::scenario::{Failure, Outcome};
use counts::Count;
use targets::{TARGETS, Target};

/// Platform of the built programs.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// Inputs of each target in the short form.
const SHORT: usize = 20_000;

/// Memory that a target may have resident, that one allocation may take, and time for an input, in MiB and seconds.
const MEMORY: usize = 1024;
const ALLOCATION: usize = 128;
const TIME: usize = 10;

/// Inputs of a target that a process runs at most: their count is written when it ends.
const PART: usize = 100_000;
/// Stacks of allocations are left out, since a finding is run again by hand, and so are frames after their return, which safe
/// Rust cannot use.
const ASAN_OPTIONS: &str = "quarantine_size_mb=32:detect_leaks=0:abort_on_error=0:malloc_context_size=0:detect_stack_use_after_return=0";

/// What a fuzzer has printed at its end.
struct Statistics {
    inputs: usize,
    /// Edges of the control flow that inputs have taken.
    coverage: usize,
}

pub(super) fn run(lab: &Lab) -> Outcome<String> {
    let is_named = lab.options.names.iter().any(|name| name == FUZZ);
    if !is_named && !lab.options.long {
        return Err(Failure::Skipped(
            "its programs build for minutes: `cargo xtask torture fuzz`".into(),
        ));
    }
    if let Some(missing) = missing() {
        return Err(Failure::Skipped(missing));
    }
    // Without `--long`, burn is not built for it.
    let with_burn = lab.options.long && !lab.options.no_burn;
    let (targets, left_out): (Vec<&Target>, Vec<&Target>) =
        TARGETS.iter().partition(|target| with_burn || !target.burn);
    for target in left_out {
        println!(
            "  {}: SKIPPED, its build takes many minutes: --long without --no-burn",
            target.name
        );
    }
    if lab.options.build {
        build(&lab.root, with_burn)?;
    }
    let memory = Path::new("/dev/shm");
    let disk = std::env::temp_dir();
    let scratch = if memory.is_dir() { memory } else { &disk };
    let scratch = scratch.join(format!("vlp-fuzz-{}", std::process::id()));
    folders::empty(&scratch)?;
    let counts = fuzz_all(lab, &targets, &scratch);
    fs::remove_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    let counts = counts?;
    let inputs: usize = counts.iter().map(|count| count.inputs).sum();
    let since = counts.iter().map(|count| count.since.as_str()).min();
    let each: Vec<String> = targets
        .iter()
        .zip(&counts)
        .map(|(target, count)| format!("{} {}", target.name, count.inputs))
        .collect();
    Ok(format!(
        "{inputs} inputs in all since {} on the present code, under the address sanitizer, no findings: {}; at most {MEMORY} MiB resident, {ALLOCATION} MiB an allocation, {TIME} s an input",
        since.unwrap_or_default(),
        each.join(", ")
    ))
}

/// What this machine lacks.
fn missing() -> Option<String> {
    let has = |arguments: &[&str]| {
        let output = Command::new("rustup").args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !has(&["run", "nightly", "rustc", "--version"]) {
        return Some("no nightly toolchain: `rustup toolchain install nightly`".into());
    }
    if !has(&["run", "nightly", "cargo", "fuzz", "--version"]) {
        return Some("no cargo-fuzz: `cargo install cargo-fuzz`".into());
    }
    None
}

/// Builds the programs, on the versions of dependencies that the main workspace has.
fn build(root: &Path, burn: bool) -> Result<(), String> {
    let folder = root.join("fuzz");
    let locks = [root.join("Cargo.lock"), folder.join("Cargo.lock")];
    let times = locks
        .each_ref()
        .map(|path| path.metadata().and_then(|data| data.modified()).ok());
    // `cargo fuzz` adds what only the fuzz targets need, for which it asks the registry.
    if times[0] > times[1] {
        fs::copy(&locks[0], &locks[1]).map_err(|e| format!("{}: {e}", locks[1].display()))?;
    }
    let mut command = Command::new("rustup");
    // `-O` leaves debug assertions to the profile. Tracing each comparison would take a third of the time: the corpora, which were
    // found with it, and the dictionaries have the values that inputs are compared with.
    let options = ["-O", "--no-trace-compares", "--target", PLATFORM];
    command.args(["run", "nightly", "cargo", "fuzz", "build"]);
    command.args(options);
    if burn {
        command.args(["--features", "burn"]);
    }
    // What the build of this program was told is for another toolchain.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    let status = command.current_dir(folder).status();
    match status.map_err(|e| format!("rustup: {e}"))?.success() {
        true => Ok(()),
        false => Err("the fuzz targets did not build".into()),
    }
}

/// Runs targets on as many inputs as wanted, or each up to its first finding. Returns how many each has run on the present code.
fn fuzz_all(lab: &Lab, targets: &[&Target], scratch: &Path) -> Result<Vec<Count>, String> {
    let now = machine::now()?;
    let date = now.split('T').next().unwrap_or_default();
    let mut tallies = vec![];
    let mut parts = vec![];
    for (index, target) in targets.iter().enumerate() {
        let code = target.code(&lab.root)?;
        // Part of the repository: inputs add up over machines. The short form only reads it.
        let file = lab.root.join(format!("fuzz/counts/{}.json", target.name));
        let count = Count::read(&file, &code, date);
        let wanted = match lab.options.inputs {
            Some(more) => more as usize,
            None => lab.count(SHORT, (target.long * 1000).saturating_sub(count.inputs)),
        };
        if wanted == 0 {
            println!("  {:<18} {:>10} inputs already", target.name, count.inputs);
        }
        let starts = (0..wanted).step_by(PART).enumerate();
        parts.extend(starts.map(|(round, start)| Part {
            round,
            target: index,
            inputs: PART.min(wanted - start),
            before: count.inputs + start,
        }));
        tallies.push(Mutex::new(Tally {
            file: lab.options.long.then_some(file),
            count,
            failed: false,
        }));
    }
    // A part of each target after another.
    parts.sort_by_key(|part| part.round);
    lab.each(&parts, |_, part| {
        let tally = &tallies[part.target];
        if with(tally, |tally| tally.failed) {
            return Ok(());
        }
        let statistics = part.run(lab, targets[part.target], scratch);
        with(tally, |tally| tally.add(statistics))
    })?;
    let counts = tallies.into_iter();
    Ok(counts
        .map(|tally| with(&tally, |tally| tally.count.clone()))
        .collect())
}

/// Inputs of a target that one process runs.
struct Part {
    /// Parts of the same target that come before it.
    round: usize,
    /// Its index.
    target: usize,
    inputs: usize,
    /// Inputs that the target has run before them.
    before: usize,
}

/// What the parts of a target have come to.
struct Tally {
    /// Where the count is kept.
    file: Option<PathBuf>,
    count: Count,
    /// Whether there was a finding.
    failed: bool,
}

impl Tally {
    fn add(&mut self, statistics: Result<Statistics, String>) -> Result<(), String> {
        self.failed |= statistics.is_err();
        self.count.inputs += statistics?.inputs;
        match &self.file {
            Some(file) => self.count.write(file),
            None => Ok(()),
        }
    }
}

fn with<T>(tally: &Mutex<Tally>, use_it: impl FnOnce(&mut Tally) -> T) -> T {
    use_it(&mut tally.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Part {
    /// Runs its inputs, which depend on how many the target has run before.
    fn run(&self, lab: &Lab, target: &Target, scratch: &Path) -> Result<Statistics, String> {
        let name = target.name;
        let folder = lab.root.join("fuzz");
        let corpus = lab.folder().join("fuzz/corpus").join(name);
        let findings = lab.folder().join("fuzz/findings").join(name);
        let failed = |what: &Path, error: std::io::Error| format!("{}: {error}", what.display());
        for folder in [&corpus, &findings] {
            fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
        }
        let program = folder
            .join("target")
            .join(PLATFORM)
            .join("release")
            .join(name);
        let mut command = Command::new(&program);
        command
            .arg(&corpus)
            .arg(folder.join("corpus").join(name))
            .arg(format!("-runs={}", self.inputs))
            .arg(format!("-seed={}", seed(lab.options.seed, self.before)))
            .arg(format!("-max_len={}", target.max_len))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg(format!("-malloc_limit_mb={ALLOCATION}"))
            .arg(format!("-timeout={TIME}"))
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .args(["-print_final_stats=1", "-detect_leaks=0", "-verbosity=1"])
            // It would ask a symbolizer, in another process, for the name of each new function.
            .arg("-print_funcs=0");
        let dictionary = folder.join("dictionaries").join(format!("{name}.dict"));
        if dictionary.exists() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command
            .env("ASAN_OPTIONS", ASAN_OPTIONS)
            .env("TMPDIR", scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let log = findings.with_extension(format!("{}.log", self.before));
        command.stderr(fs::File::create(&log).map_err(|e| failed(&log, e))?);
        let start = Instant::now();
        let status = command.status().map_err(|e| failed(&program, e))?;
        let text = fs::read(&log).map_err(|e| failed(&log, e))?;
        let text = String::from_utf8_lossy(&text);
        if !status.success() {
            return Err(finding(name, &text, &log));
        }
        let statistics =
            Statistics::read(&text).ok_or_else(|| format!("{}: no statistics", log.display()))?;
        fs::remove_file(&log).map_err(|e| failed(&log, e))?;
        println!(
            "  {name:<18} {:>10} inputs, {:>7.0} a second, {:>6} edges, no findings",
            self.before + statistics.inputs,
            statistics.inputs as f64 / start.elapsed().as_secs_f64(),
            statistics.coverage
        );
        Ok(statistics)
    }
}

/// A seed of libFuzzer's: 32 bits, and not 0, which stands for a random one.
fn seed(seed: u64, before: usize) -> u32 {
    (seed.wrapping_add(before as u64) as u32).max(1)
}

/// The first line that says what was wrong, and the file with the input.
fn finding(name: &str, log: &str, path: &Path) -> String {
    let is_reason = |line: &&str| line.contains("panicked at") || line.contains("ERROR: ");
    let reason = log.lines().skip_while(|line| !is_reason(line)).take(3);
    let reason = reason.collect::<Vec<_>>().join(" ");
    let input: Option<PathBuf> = log
        .lines()
        .find_map(|line| line.split_once("Test unit written to "))
        .map(|(_, path)| path.into());
    let input = input.unwrap_or_else(|| path.into());
    format!("{name}: {reason}; input: {}", input.display())
}

impl Statistics {
    /// Reads them from the end of a fuzzer's output.
    fn read(log: &str) -> Option<Self> {
        let done = log.lines().rfind(|line| line.contains("DONE"))?;
        let mut words = done.split_whitespace();
        let inputs = words.next()?.strip_prefix('#')?.parse().ok()?;
        let coverage = words.skip_while(|word| *word != "cov:").nth(1)?;
        Some(Self {
            inputs,
            coverage: coverage.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_end_of_a_log_is_read() {
        let log = "#2\tINITED cov: 5 ft: 6\n#20000\tDONE   cov: 1234 ft: 3000 corp: 100/9Kb lim: 512 exec/s: 900 rss: 90Mb\nDone 20000 runs in 2 second(s)\n";
        let statistics = Statistics::read(log).unwrap();
        assert_eq!((statistics.inputs, statistics.coverage), (20_000, 1234));
        assert!(Statistics::read("#2\tINITED cov: 5").is_none());
        let log = "x\nthread '<unnamed>' (7) panicked at a.rs:1:2:\nbad\nnote\nTest unit written to /tmp/crash-1\n";
        let message = finding("tar", log, Path::new("tar.log"));
        assert_eq!(
            message,
            "tar: thread '<unnamed>' (7) panicked at a.rs:1:2: bad note; input: /tmp/crash-1"
        );
    }
}
