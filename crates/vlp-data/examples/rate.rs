//! Examples per second that the loader prepares, and the fraction of time that an idle consumer waits for them.
//!
//! `cargo run --release -p vlp-data --example rate -- FOLDER [threads] [seconds]`, FOLDER has COCO files;
//! `vlp scenes FOLDER` writes some.
#![allow(clippy::print_stdout)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use vlp_data::{
    BatchPlan, Limits, Loader, LoaderConfig, ResizeRule, Source,
    read::{CocoFiles, coco},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("rate FOLDER [threads] [seconds]")?;
    let workers = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let time = Duration::from_secs(arguments.next().map_or(Ok(3), |text| text.parse())?);
    let resize = ResizeRule::Detr {
        short: vec![800],
        max: 1333,
    };
    let source = Arc::new(coco(&CocoFiles::find(folder, None)?, &Limits::default())?);
    let plan = BatchPlan {
        seed: 1,
        batch_size: 16,
        bucket_by_shape: true,
        window: 0,
    };
    let config = LoaderConfig {
        workers,
        ..LoaderConfig::new(plan, resize)
    };
    let name = source.name().to_owned();
    let mut loader = Loader::start(source, config)?;
    let (start, mut examples) = (Instant::now(), 0);
    while start.elapsed() < time {
        examples += loader.next()?.examples.len();
    }
    let elapsed = start.elapsed().as_secs_f64();
    println!(
        "{name}, {workers} threads: {:.0} examples/s, waited {:.0} % of the time",
        examples as f64 / elapsed,
        100.0 * loader.wait_time().as_secs_f64() / elapsed
    );
    Ok(())
}
