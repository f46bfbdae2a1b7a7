//! Long runs: memory, open files and threads stay as they are, and the losses are those of a short run.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use super::lab::Lab;
use super::tiny::{self, PRESETS};
use crate::processes::job::send;
use crate::processes::scenario::Outcome;

/// Minutes of a run by hand: eight hours for both presets, which run at the same time.
const LONG: u64 = 480;
/// Seconds of a run in continuous integration.
const SHORT: u64 = 15;
/// Looks at a process in each of three parts of its time.
const LOOKS: usize = 200;
/// Growth of the memory from the second to the last part, in KiB: the allocator's own, and the vectors that double now and then.
const ALLOWED: f64 = 2048.0;
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
    memory: f64,
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
        let start = Instant::now();
        let interval = Duration::from_secs(seconds).div_f64(3.0 * LOOKS as f64);
        while start.elapsed().as_secs() < seconds {
            thread::sleep(interval);
            looks.push(look(child.id(), start.elapsed().as_secs_f64())?);
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
    let mut child = program.with("TORTURE_SECONDS", "0").start_into(&output)?;
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

/// Waits for a condition as long as the process runs.
fn until(child: &mut Child, condition: impl Fn() -> bool) -> Result<(), String> {
    while !condition() {
        thread::sleep(Duration::from_millis(50));
        let status = child.try_wait().map_err(|e| e.to_string())?;
        if let Some(status) = status {
            return Err(format!("it ended by itself: {status}"));
        }
    }
    Ok(())
}

/// The lines of a run's log that have losses.
fn losses(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().filter(|line| line.contains("\"train/loss\""));
    lines.map(str::to_owned).collect()
}

fn look(process: u32, time: f64) -> Result<Look, String> {
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
        memory: number("VmRSS:")?,
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
    let memory: fn(&Look) -> f64 = |look| look.memory;
    let (before, after) = (least(middle, memory), least(last, memory));
    if after > before + ALLOWED {
        return Err(format!(
            "memory: {before} KiB in the second third of the time, {after} KiB in the last"
        ));
    }
    let both = &looks[looks.len() / 3..];
    Ok(format!(
        "{:.1} MiB, slope {:+.0} KiB an hour, {} open files, {} threads",
        after / 1024.0,
        slope(both) * 3600.0,
        least(last, |look| look.files as f64),
        least(last, |look| look.threads as f64)
    ))
}

/// Of the memory over time by least squares, in KiB a second.
fn slope(looks: &[Look]) -> f64 {
    let count = looks.len() as f64;
    let mean = |value: fn(&Look) -> f64| looks.iter().map(value).sum::<f64>() / count;
    let (time, memory) = (mean(|look| look.time), mean(|look| look.memory));
    let products = looks
        .iter()
        .map(|look| (look.time - time) * (look.memory - memory));
    let squares = looks.iter().map(|look| (look.time - time).powi(2));
    products.sum::<f64>() / squares.sum::<f64>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Looks whose memory grows by `rate` KiB a second after the first third of a minute.
    fn looks(rate: f64, files: fn(f64) -> usize) -> Vec<Look> {
        let times = (0..600).map(|index| f64::from(index) / 10.0);
        let looks = times.map(|time| Look {
            time,
            memory: 50_000.0 + rate * time,
            files: files(time),
            threads: 3,
        });
        looks.collect()
    }

    #[test]
    fn growth_is_refused_and_its_slope_given() {
        let text = judge(&looks(1.0, |_| 9)).unwrap();
        assert!(
            text.contains("slope +3600 KiB an hour, 9 open files, 3 threads"),
            "{text}"
        );
        let error = judge(&looks(200.0, |_| 9)).unwrap_err();
        assert!(error.starts_with("memory: "), "{error}");
        let error = judge(&looks(0.0, |time| time as usize)).unwrap_err();
        assert!(error.starts_with("open files: 20 "), "{error}");
        // An evaluation opens a file now and then.
        judge(&looks(0.0, |time| {
            9 + usize::from((time as usize).is_multiple_of(7))
        }))
        .unwrap();
    }
}
