//! Decoded images per second of CPU time, on one thread: `decode_speed decode|detr|soho|shrink FOLDER SECONDS`.
//!
//! `scripts/decode-speed/run.sh` alternates it with Pillow and torchvision on the same files, which are read every time.
#![allow(clippy::print_stdout)]

use std::{error::Error, fs, path::PathBuf, time::Instant};

use vlp_data::{Limits, ResizeRule, decode_image, rng, transform::resize};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, folder, seconds] = arguments.as_slice() else {
        return Err("usage: decode_speed decode|detr|soho|shrink FOLDER SECONDS".into());
    };
    let detr = |short| ResizeRule::Detr {
        short: vec![short],
        max: 1333,
    };
    let rule = match mode.as_str() {
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
    let (clock, mut decoded) = (Clock::start(), 0);
    while clock.seconds() < seconds {
        for path in &files {
            let image = decode_image(&fs::read(path)?, &path.display().to_string(), &limits)?;
            if rule != ResizeRule::Keep {
                let mut rng = rng(0, 0, 0, "resize");
                let (width, height) = rule.target_size(image.width, image.height, &mut rng);
                std::hint::black_box(resize(&image, width, height)?);
            }
            std::hint::black_box(image);
        }
        decoded += files.len();
    }
    println!("{:.2}", decoded as f64 / clock.seconds());
    Ok(())
}

/// CPU time of the process on Linux, wall time elsewhere.
struct Clock {
    start: Instant,
    cpu_start: Option<f64>,
}

impl Clock {
    fn start() -> Self {
        Self {
            start: Instant::now(),
            cpu_start: cpu_seconds(),
        }
    }

    fn seconds(&self) -> f64 {
        match (self.cpu_start, cpu_seconds()) {
            (Some(start), Some(now)) => now - start,
            _ => self.start.elapsed().as_secs_f64(),
        }
    }
}

fn cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
