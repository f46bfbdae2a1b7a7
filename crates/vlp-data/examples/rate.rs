//! How many examples a second the loader prepares, and the share of time that a consumer with no work of its own waits.
//!
//! `cargo run --release -p vlp-data --example rate -- [COCO folder, or - for scenes] [threads] [seconds]`
#![allow(clippy::print_stdout)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use vlp_data::{
    CocoSource, Loader, LoaderConfig, Plan, ResizeRule, Scenes, ScenesConfig, Source,
    coco::CocoOptions,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().filter(|folder| folder != "-");
    let workers = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let time = Duration::from_secs(arguments.next().map_or(Ok(3), |text| text.parse())?);
    let (source, resize): (Arc<dyn Source>, _) = match folder {
        Some(folder) => {
            let source = CocoSource::open(folder, CocoOptions::default())?;
            (
                Arc::new(source),
                ResizeRule::Detr {
                    short: vec![800],
                    max: 1333,
                },
            )
        }
        None => (
            Arc::new(Scenes::new(ScenesConfig::default())?),
            ResizeRule::Square { side: 64 },
        ),
    };
    let plan = Plan {
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
    let (began, mut examples) = (Instant::now(), 0);
    while began.elapsed() < time {
        examples += loader.next()?.examples.len();
    }
    let took = began.elapsed();
    println!(
        "{name}, {workers} threads: {:.0} examples/s, waited {:.0} % of the time",
        examples as f64 / took.as_secs_f64(),
        100.0 * loader.idle().as_secs_f64() / took.as_secs_f64()
    );
    Ok(())
}
