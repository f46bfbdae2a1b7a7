//! Training keeps no memory of a step, an evaluation or a checkpoint. This is the only test of its process, because the memory of
//! the process is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use peak_alloc::PeakAlloc;
use support::TINY;
use vlp::config::{Sources, resolve};
use vlp::train::{RunChoice, TrainOptions, train};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Steps of a period. The least use of memory in a period leaves out what steps, evaluations and checkpoints need meanwhile.
const PERIOD: usize = 50;
/// The last period is compared with the second; caches and tables grow in the first.
const PERIODS: usize = 5;
/// Bytes that the last period may have more: 68 for each step between, less than what autodiff or a log of losses would keep of a
/// step. The least that is seen varies by up to half of this.
const ALLOWED: usize = 10 << 10;

/// Times that a run is measured at most.
const ATTEMPTS: usize = 3;

/// Without threads that load, whose number of batches ahead varies.
const EVERY_RUN: [&str; 5] = [
    "data.workers=0",
    "eval.every=25",
    "checkpoint.every=25",
    "checkpoint.keep=1",
    "train.steps=100000",
];

/// A preset and settings.
type Run = (&'static str, &'static [&'static str]);

const RUNS: [Run; 2] = [
    // Two graphs at the same time, and a moving average.
    (
        "e2e-vlp-tiny",
        &[
            "train.accumulate=2",
            "train.data_parallel_halves=true",
            "train.ema_decay=0.9",
        ],
    ),
    // A dictionary, and seeds of dropout masks.
    (
        "soho-tiny",
        &[
            "train.accumulate=2",
            "model.dropout=0.1",
            "model.quantizer.dictionary.codes=12",
            "eval.retrieval=3",
        ],
    ),
];

/// The least use of memory in each period of a run that appends to `metrics`, until it has ended.
fn least_memory(metrics: &Path, has_ended: &AtomicBool) -> [usize; PERIODS] {
    let mut least = [usize::MAX; PERIODS];
    let (mut file, mut buffer, mut lines) = (None, [0; 4096], 0);
    while !has_ended.load(Ordering::Relaxed) {
        if let Some(least) = least.get_mut(lines / PERIOD) {
            *least = MEMORY.current_usage().min(*least);
        }
        file = file.or_else(|| File::open(metrics).ok());
        let count = file
            .as_mut()
            .map_or(0, |file| file.read(&mut buffer).unwrap());
        lines += buffer[..count]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        std::thread::sleep(Duration::from_micros(20));
    }
    least
}

/// The least use of memory in each period of a new run.
fn measure(run: &Path, (preset, settings): Run) -> [usize; PERIODS] {
    let settings = [&TINY[..], &EVERY_RUN, settings].concat();
    // SOHO has no decoder.
    let settings = settings.iter().filter(|setting| {
        let of_decoder = ["model.decoder", "objectives.detection"];
        preset != "soho-tiny" || !of_decoder.iter().any(|key| setting.starts_with(key))
    });
    let sources = Sources {
        preset: Some(preset.into()),
        set: settings.map(|setting| (*setting).to_owned()).collect(),
        ..Sources::default()
    };
    // More steps than are compared: the end of a run frees much.
    let options = TrainOptions::new(resolve(&sources).unwrap(), RunChoice::New(run.into()))
        .with_device("flex".into())
        .with_stop_at(Some((PERIOD * PERIODS) as u64 + 10));
    let has_ended = AtomicBool::new(false);
    let metrics = run.join("metrics.jsonl");
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| least_memory(&metrics, &has_ended));
        let outcome = train(&options);
        has_ended.store(true, Ordering::Relaxed);
        outcome.unwrap();
        sampler.join().unwrap()
    })
}

#[test]
fn runs_leave_nothing_behind() {
    // As in the program, this thread is one of the pool.
    vlp::device::init_process().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (number, run) in RUNS.into_iter().enumerate() {
        // On a busy machine the sampler may miss the least use; what a step leaves behind is there each time.
        let is_flat = (0..ATTEMPTS).any(|attempt| {
            let least = measure(&folder.path().join(format!("{number}-{attempt}")), run);
            eprintln!("run {number}, {}: {least:?} bytes", run.0);
            let [_, before, .., after] = least;
            after <= before + ALLOWED
        });
        assert!(is_flat, "run {number}, {}: the memory grows", run.0);
    }
}
