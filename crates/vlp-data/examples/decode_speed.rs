//! Pictures a second of CPU time, on one thread: `decode_speed decode|detr|soho|shrink FOLDER SECONDS`.
//!
//! `scripts/decode-speed/run.sh` runs it in turn with Pillow and torchvision on the same files. The files are read each
//! time, as theirs are.
#![allow(clippy::print_stdout)]

use std::{error::Error, fs, path::PathBuf, time::Instant};

use vlp_data::{Limits, ResizeRule, decode_picture, rng, transform::resize};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, folder, seconds] = arguments.as_slice() else {
        return Err("usage: decode_speed decode|detr|soho|shrink FOLDER SECONDS".into());
    };
    let detr = |short| ResizeRule::Detr {
        short: vec![short],
        max: 1333,
    };
    let rule = match what.as_str() {
        "decode" => ResizeRule::Keep,
        "detr" => detr(800),
        "soho" => ResizeRule::Soho {
            short: 600,
            max: 1000,
        },
        "shrink" => detr(384),
        other => return Err(format!("{other} is none of decode, detr, soho and shrink").into()),
    };
    let seconds: f64 = seconds.parse()?;
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e == "jpg" || e == "jpeg"));
    files.sort();
    if files.is_empty() {
        return Err(format!("{folder} has no .jpg").into());
    }
    let limits = Limits::default();
    let (clock, mut done) = (Clock::start(), 0);
    while clock.seconds() < seconds {
        for path in &files {
            let picture = decode_picture(&fs::read(path)?, &path.display().to_string(), &limits)?;
            if rule != ResizeRule::Keep {
                let mut draw = rng(0, 0, 0, "resize");
                let (width, height) = rule.target(picture.width, picture.height, &mut draw);
                std::hint::black_box(resize(&picture, width, height)?);
            }
            std::hint::black_box(picture);
        }
        done += files.len();
    }
    println!("{:.2}", done as f64 / clock.seconds());
    Ok(())
}

/// The process's CPU time where Linux tells it, else the time of day.
struct Clock {
    began: Instant,
    cpu: Option<f64>,
}

impl Clock {
    fn start() -> Self {
        Self {
            began: Instant::now(),
            cpu: cpu_seconds(),
        }
    }

    fn seconds(&self) -> f64 {
        match (self.cpu, cpu_seconds()) {
            (Some(before), Some(now)) => now - before,
            _ => self.began.elapsed().as_secs_f64(),
        }
    }
}

fn cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
