//! Measures how fast the samples of packed shards are read in their order, encoded and decoded.
//!
//! `cargo run -p vlp-store --example shard_rate -- LOCATION [threads] [seconds]`, where LOCATION is a folder or URL of shards.
//! Each round opens the shards with an empty cache. Without an index cache, opening reads all headers and records, and
//! thus every block of a remote store.
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
    shards::{BlockCacheSize, ShardOptions, open},
};

#[derive(Default)]
struct Totals {
    samples: usize,
    /// Bytes of the image files.
    bytes: usize,
    opening: Duration,
    reading: Duration,
}

fn measure_round(
    location: &str,
    threads: usize,
    decode: bool,
    totals: &mut Totals,
) -> Result<(), DataError> {
    let start = Instant::now();
    let store = vlp_store::open(location, BlockCacheSize::default())?;
    let source = open(store, ShardOptions::default())?.source;
    totals.opening += start.elapsed();
    let (next, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let last_error: Mutex<Option<DataError>> = Mutex::new(None);
    let read = |index: usize| -> Result<(), DataError> {
        if decode {
            source.load(index)?;
            return Ok(());
        }
        if let Some(encoded) = source.encoded_image(index)? {
            let second_len = encoded.second_image.as_ref().map_or(0, Vec::len);
            bytes.fetch_add(encoded.image.len() + second_len, Relaxed);
        }
        Ok(())
    };
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let next_index =
                    || Some(next.fetch_add(1, Relaxed)).filter(|index| *index < source.len());
                while let Some(index) = next_index() {
                    if let Err(error) = read(index) {
                        next.store(source.len(), Relaxed);
                        if let Ok(mut last_error) = last_error.lock() {
                            *last_error = Some(error);
                        }
                    }
                }
            });
        }
    });
    totals.reading += start.elapsed();
    totals.samples += source.len();
    totals.bytes += bytes.into_inner();
    match last_error.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let location = arguments.next().ok_or("missing folder or URL of shards")?;
    let threads = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let time = Duration::from_secs(arguments.next().map_or(Ok(5), |text| text.parse())?);
    let mut sample_bytes = 0.0;
    for decode in [false, true] {
        let (mut totals, mut rounds) = (Totals::default(), 0);
        let start = Instant::now();
        while rounds == 0 || start.elapsed() < time {
            measure_round(&location, threads, decode, &mut totals)?;
            rounds += 1;
        }
        if !decode {
            sample_bytes = totals.bytes as f64 / totals.samples.max(1) as f64;
        }
        let (opening, reading) = (totals.opening.as_secs_f64(), totals.reading.as_secs_f64());
        println!(
            "{} samples {}, {rounds} rounds, {threads} threads:",
            totals.samples / rounds as usize,
            if decode { "decoded" } else { "encoded" }
        );
        for (what, seconds) in [("read", reading), ("opened and read", opening + reading)] {
            let rate = totals.samples as f64 / seconds;
            println!(
                "  {what:15} {rate:8.0} samples/s {:8.1} MB/s",
                rate * sample_bytes / 1e6
            );
        }
    }
    Ok(())
}
