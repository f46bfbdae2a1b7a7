//! How many examples a second the loader prepares, and the share of time that a consumer with no work of its own waits.
//!
//! `cargo run --release -p vlp-data --example rate -- [SOURCE] [threads] [seconds]`, SOURCE being a COCO folder, `-` for
//! generated scenes, or `vqa`, `nlvr2` or `snli-ve` for a task over them.
#![allow(clippy::print_stdout)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use vlp_data::{
    CocoSource, Loader, LoaderConfig, Plan, ResizeRule, Scenes, ScenesConfig, ScenesTask, Source,
    Task, coco::CocoOptions,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_else(|| "-".into());
    let workers = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let time = Duration::from_secs(arguments.next().map_or(Ok(3), |text| text.parse())?);
    let scenes = ScenesConfig::default();
    let mut resize = ResizeRule::Square { side: 64 };
    let source: Arc<dyn Source> = match what.as_str() {
        "-" => Arc::new(Scenes::new(scenes)?),
        "vqa" => Arc::new(ScenesTask::new(scenes, Task::Vqa)?),
        "nlvr2" => Arc::new(ScenesTask::new(scenes, Task::Nlvr2)?),
        "snli-ve" => Arc::new(ScenesTask::new(scenes, Task::SnliVe)?),
        folder => {
            resize = ResizeRule::Detr {
                short: vec![800],
                max: 1333,
            };
            Arc::new(CocoSource::open(folder, CocoOptions::default())?)
        }
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
