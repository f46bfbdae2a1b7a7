//! How fast the samples of packed shards are read, in their order: as they are stored, and decoded.
//!
//! `cargo run -p vlp-store --example shard_rate -- PLACE [threads] [seconds]`, PLACE being a folder or a URL of shards. The
//! place is opened anew, its cache empty, as often as the time allows. To open it is to read what stands in its shards, and
//! so, from a store, all of it once where no index is kept (`data.index`).
#![allow(clippy::print_stdout)]

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use vlp_data::{
    DataError, Source,
    shards::{CacheSize, ShardOptions, open},
};

/// Samples, bytes of their files, and the time that opening and reading took.
#[derive(Default)]
struct Read {
    samples: usize,
    bytes: usize,
    opening: Duration,
    reading: Duration,
}

fn once(place: &str, threads: usize, decode: bool, sum: &mut Read) -> Result<(), DataError> {
    let began = Instant::now();
    let blobs = vlp_store::open(place, CacheSize::default())?;
    let source = open(blobs, ShardOptions::default())?.source;
    sum.opening += began.elapsed();
    let (next, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed: Mutex<Option<DataError>> = Mutex::new(None);
    let one = |index: usize| -> Result<(), DataError> {
        if decode {
            source.load(index)?;
            return Ok(());
        }
        if let Some(stored) = source.encoded(index)? {
            let second = stored.second.as_ref().map_or(0, Vec::len);
            bytes.fetch_add(stored.picture.len() + second, Relaxed);
        }
        Ok(())
    };
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let take = || Some(next.fetch_add(1, Relaxed)).filter(|at| *at < source.len());
                while let Some(index) = take() {
                    if let Err(error) = one(index) {
                        next.store(source.len(), Relaxed);
                        if let Ok(mut failed) = failed.lock() {
                            *failed = Some(error);
                        }
                    }
                }
            });
        }
    });
    sum.reading += began.elapsed();
    sum.samples += source.len();
    sum.bytes += bytes.into_inner();
    match failed.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().ok_or("give a folder or URL of shards")?;
    let threads = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let time = Duration::from_secs(arguments.next().map_or(Ok(5), |text| text.parse())?);
    let mut size = 0.0;
    for decode in [false, true] {
        let (mut sum, mut rounds) = (Read::default(), 0);
        let began = Instant::now();
        while rounds == 0 || began.elapsed() < time {
            once(&place, threads, decode, &mut sum)?;
            rounds += 1;
        }
        if !decode {
            size = sum.bytes as f64 / sum.samples.max(1) as f64;
        }
        let (opening, reading) = (sum.opening.as_secs_f64(), sum.reading.as_secs_f64());
        println!(
            "{} samples {}, {rounds} times by {threads} threads:",
            sum.samples / rounds as usize,
            if decode { "decoded" } else { "as stored" }
        );
        for (what, seconds) in [("read", reading), ("opened and read", opening + reading)] {
            let rate = sum.samples as f64 / seconds;
            println!(
                "  {what:15} {rate:8.0} samples/s {:8.1} MB/s",
                rate * size / 1e6
            );
        }
    }
    Ok(())
}
