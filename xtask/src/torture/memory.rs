//! Long runs: memory, open files and threads stay as they are, and the losses are those of a short run.
//!
//! The resident memory tells no leak: the allocator returns nothing to the kernel (`vlp_ops::tune_allocator`), so each new peak
//! of one of its arenas stays. What is allocated between two steps does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use super::lab::Lab;
use super::tiny::{self, PRESETS};
use crate::processes::job::send;
use crate::processes::scenario::Outcome;
use crate::processes::wait;

/// Minutes of a run by hand: eight hours for both presets, which run at the same time.
const LONG: u64 = 480;
/// Seconds of a run in continuous integration.
const SHORT: u64 = 15;
/// Time between looks at the losses.
const INTERVAL: Duration = Duration::from_millis(50);
/// Looks at a process in each of three parts of its time.
const LOOKS: usize = 200;
/// Growth from the second to the last part, in KiB, of what is allocated: a batch more ahead, and vectors that double.
const ALLOWED: f64 = 384.0;
/// Growth of the resident memory: arenas of the allocator that reach new peaks.
const ALLOWED_RESIDENT: f64 = 8192.0;
/// More steps than any run makes.
const STEPS: usize = 1_000_000_000;
/// Steps of the short run.
const PREFIX: usize = 100;
/// Exit code of a run that was told to stop, and saved.
const STOPPED: i32 = 75;

/// What a process has at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Look {
    /// Seconds since the first step.
    time: f64,
    /// Resident memory in KiB.
    resident: f64,
    /// Allocated memory after the last step, in KiB.
    allocated: f64,
    files: usize,
    threads: usize,
}

pub(super) fn run(lab: &Lab) -> Outcome<String> {
    let seconds = match (lab.options.minutes, lab.options.long) {
        (Some(minutes), _) => 60 * minutes,
        (None, true) => 60 * LONG,
        (None, false) => SHORT,
    };
    let folder = lab.fresh("memory")?;
    let lines = lab.each(&PRESETS, |_, preset| {
        let folder = folder.join(preset);
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        check(lab, &folder, preset, seconds).map_err(|why| format!("{preset}: {why}"))
    })?;
    Ok(lines.join("; "))
}

/// Halves of a batch at a time, parameters that no loss reads, evaluations and checkpoints at every hundredth step.
fn settings(preset: &str) -> Vec<String> {
    let mut words = tiny::settings(preset, STEPS);
    words.extend(tiny::set(&[
        "train.data_parallel_halves=true",
        "model.dropout=0",
        "train.schedule.decay={kind=\"constant\"}",
        "data.workers=1",
        "checkpoint.every=100",
        "eval.every=100",
    ]));
    if preset == PRESETS[0] {
        words.extend(tiny::set(&[
            "objectives.detection=off",
            "objectives.caption=off",
        ]));
    }
    words
}

fn check(lab: &Lab, folder: &Path, preset: &str, seconds: u64) -> Result<String, String> {
    let mut settings = settings(preset);
    // Larger batches by hand: fewer lines of losses.
    let batch = lab.count(2, 8);
    settings.extend(tiny::set(&[&format!("data.batch_size={batch}")]));
    let short = folder.join("short");
    train(lab, &short, &settings, |child| {
        until(child, || losses(&short).len() >= PREFIX)
    })?;
    let long = folder.join("long");
    let mut looks = vec![];
    train(lab, &long, &settings, |child| {
        until(child, || !losses(&long).is_empty())?;
        let heap = heap(&long);
        let start = Instant::now();
        let interval = Duration::from_secs(seconds).div_f64(3.0 * LOOKS as f64);
        while start.elapsed().as_secs() < seconds {
            thread::sleep(interval);
            looks.push(look(child.id(), &heap, start.elapsed().as_secs_f64())?);
        }
        Ok(())
    })?;
    let lines = losses(&long);
    for (step, (a, b)) in losses(&short).iter().zip(&lines).enumerate() {
        if a != b {
            return Err(format!("step {}: {b}, in the short run {a}", step + 1));
        }
    }
    let figure = judge(&looks)?;
    let time = match seconds {
        0..600 => format!("{seconds} s"),
        _ => format!("{:.1} h", seconds as f64 / 3600.0),
    };
    Ok(format!(
        "{preset}: {} steps in {time}: {figure}",
        lines.len()
    ))
}

/// Starts a run, lets `meanwhile` wait, and tells the run to stop.
fn train(
    lab: &Lab,
    run: &Path,
    settings: &[String],
    meanwhile: impl FnOnce(&mut Child) -> Result<(), String>,
) -> Result<(), String> {
    let program = lab.vlp(&tiny::new_run(run, settings));
    // The output of hours would fill a pipe.
    let output = run.with_extension("txt");
    let program = program.with("TORTURE_SECONDS", "0");
    let program = program.with("TORTURE_HEAP", heap(run));
    let mut child = program.start_into(&output)?;
    let waited = meanwhile(&mut child);
    send("TERM", &child.id().to_string());
    let status = child.wait().map_err(|e| e.to_string())?;
    match (waited, status.code()) {
        (Ok(()), Some(STOPPED)) => Ok(()),
        (waited, _) => {
            let text = fs::read_to_string(&output).unwrap_or_default();
            let reason = waited.err().unwrap_or_else(|| "told to stop".into());
            Err(format!("{reason}, {status}: {text}"))
        }
    }
}

/// Where a run's process writes what it has allocated.
fn heap(run: &Path) -> PathBuf {
    run.with_extension("heap")
}

/// Waits for a condition as long as the process runs.
fn until(child: &mut Child, condition: impl Fn() -> bool) -> Result<(), String> {
    let look = || match condition() {
        true => Ok(true),
        false => match child.try_wait().map_err(|e| e.to_string())? {
            None => Ok(false),
            Some(status) => Err(format!("it ended by itself: {status}")),
        },
    };
    wait::until(INTERVAL, Duration::MAX, look).map(|_| ())
}

/// The lines of a run's log that have losses.
fn losses(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().filter(|line| line.contains("\"train/loss\""));
    lines.map(str::to_owned).collect()
}

fn look(process: u32, heap: &Path, time: f64) -> Result<Look, String> {
    let text = fs::read_to_string(heap).map_err(|e| format!("{}: {e}", heap.display()))?;
    let bytes = text.split(' ').next().and_then(|word| word.parse().ok());
    let bytes: f64 = bytes.ok_or_else(|| format!("{}: {text:?}", heap.display()))?;
    let folder = format!("/proc/{process}");
    let failed = |e: std::io::Error| format!("{folder}: {e}");
    let status = fs::read_to_string(format!("{folder}/status")).map_err(failed)?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let word = line.and_then(|line| line.split_whitespace().next());
        word.and_then(|word| word.parse::<f64>().ok())
            .ok_or_else(|| format!("{folder}/status: no {name}"))
    };
    Ok(Look {
        time,
        resident: number("VmRSS:")?,
        allocated: bytes / 1024.0,
        threads: number("Threads:")? as usize,
        files: fs::read_dir(format!("{folder}/fd"))
            .map_err(failed)?
            .count(),
    })
}

/// Compares the last part of the time with the second; caches and tables grow in the first. The least of a part leaves out
/// what evaluations and checkpoints take.
fn judge(looks: &[Look]) -> Result<String, String> {
    let part = |index: usize| &looks[index * looks.len() / 3..(index + 1) * looks.len() / 3];
    let (middle, last) = (part(1), part(2));
    let least = |part: &[Look], value: fn(&Look) -> f64| {
        part.iter().map(value).fold(f64::INFINITY, f64::min)
    };
    for (what, value) in [
        ("open files", (|look| look.files as f64) as fn(&Look) -> f64),
        ("threads", |look| look.threads as f64),
    ] {
        let (before, after) = (least(middle, value), least(last, value));
        if after > before {
            return Err(format!(
                "{what}: {before} in the second third of the time, {after} in the last"
            ));
        }
    }
    let mut figures = vec![];
    for (what, value, allowed) in [
        (
            "allocated",
            (|look| look.allocated) as fn(&Look) -> f64,
            ALLOWED,
        ),
        ("resident", |look| look.resident, ALLOWED_RESIDENT),
    ] {
        let (before, after) = (least(middle, value), least(last, value));
        if after > before + allowed {
            return Err(format!(
                "{what} memory: {before:.0} KiB in the second third of the time, {after:.0} KiB in the last"
            ));
        }
        let slope = slope(&looks[looks.len() / 3..], value) * 3600.0;
        let mebibytes = after / 1024.0;
        figures.push(format!(
            "{mebibytes:.1} MiB {what}, slope {slope:+.0} KiB an hour"
        ));
    }
    Ok(format!(
        "{}, {} open files, {} threads",
        figures.join(", "),
        least(last, |look| look.files as f64),
        least(last, |look| look.threads as f64)
    ))
}

/// Of a value over time by least squares, per second.
fn slope(looks: &[Look], value: fn(&Look) -> f64) -> f64 {
    let count = looks.len() as f64;
    let mean = |value: fn(&Look) -> f64| looks.iter().map(value).sum::<f64>() / count;
    let (mean_time, mean_value) = (mean(|look| look.time), mean(value));
    let products = looks
        .iter()
        .map(|look| (look.time - mean_time) * (value(look) - mean_value));
    let squares = looks.iter().map(|look| (look.time - mean_time).powi(2));
    products.sum::<f64>() / squares.sum::<f64>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Looks at a minute in which the allocated and the resident memory grow by these rates, in KiB a second.
    fn looks([allocated, resident]: [f64; 2], files: fn(f64) -> usize) -> Vec<Look> {
        let times = (0..600).map(|index| f64::from(index) / 10.0);
        let looks = times.map(|time| Look {
            time,
            allocated: 20_000.0 + allocated * time,
            resident: 50_000.0 + resident * time,
            files: files(time),
            threads: 3,
        });
        looks.collect()
    }

    #[test]
    fn growth_is_refused_and_its_slope_given() {
        let text = judge(&looks([1.0, 2.0], |_| 9)).unwrap();
        assert_eq!(
            text,
            "19.6 MiB allocated, slope +3600 KiB an hour, 48.9 MiB resident, slope +7200 KiB an hour, 9 open files, 3 threads"
        );
        for (rates, what) in [([20.0, 20.0], "allocated"), ([0.0, 500.0], "resident")] {
            let error = judge(&looks(rates, |_| 9)).unwrap_err();
            assert!(error.starts_with(&format!("{what} memory: ")), "{error}");
        }
        let error = judge(&looks([0.0; 2], |time| time as usize)).unwrap_err();
        assert!(error.starts_with("open files: 20 "), "{error}");
        // An evaluation opens a file now and then.
        judge(&looks([0.0; 2], |time| {
            9 + usize::from((time as usize).is_multiple_of(7))
        }))
        .unwrap();
    }
}
