//! Times whole passes alternately with and without the fast paths of `vlp-ops`, in one process: ResNet-50 at 384 pixels, and
//! training steps of three presets (forward, losses, backward, clipping, AdamW).
//!
//! `cargo run -p vlp --example measure steps [filter...]` runs all, or those whose name contains one of the filters.
//! `--fast` times only the fast paths, `--apart` keeps the main thread out of the thread pool, `--bf16` sets bf16 matmul precision.

use std::hint::black_box;
use std::time::Instant;

use burn::prelude::*;
use vlp_models::initialize;
use vlp_ops::use_fast_paths;
use vlp_vision::{Depth, ResNetConfig};

use crate::preset::{BoxResult, Preset, set_precision, take_flag};

struct Timer {
    filters: Vec<String>,
    only_fast: bool,
}

impl Timer {
    fn is_selected(&self, name: &str) -> bool {
        let mut filters = self.filters.iter();
        self.filters.is_empty() || filters.any(|filter| name.contains(filter.as_str()))
    }

    /// Prints the minimum time of `f` with and without the fast paths in milliseconds.
    fn compare(
        &self,
        name: &str,
        repetitions: usize,
        mut f: impl FnMut() -> BoxResult,
    ) -> BoxResult {
        let mut best = [f64::INFINITY; 2];
        for repetition in 0..2 * repetitions {
            let fast = repetition % 2;
            if self.only_fast && fast == 0 {
                continue;
            }
            use_fast_paths(fast == 1);
            let start = Instant::now();
            f()?;
            best[fast] = best[fast].min(start.elapsed().as_secs_f64() * 1e3);
        }
        use_fast_paths(true);
        let [without, with] = best;
        print!("{name:40} with {with:8.1} ms");
        if without.is_finite() {
            print!("   without {without:8.1} ms   {:5.2} x", without / with);
        }
        println!();
        Ok(())
    }
}

fn backbone(timer: &Timer) -> BoxResult {
    let config = ResNetConfig::new(Depth::R50);
    for (device, name) in [
        (Device::flex(), "resnet-50 384 forward"),
        (
            Device::flex().autodiff(),
            "resnet-50 384 forward and backward",
        ),
    ] {
        if !timer.is_selected(name) {
            continue;
        }
        let net = initialize(config.init(&device)?, 1);
        let net = config.freeze(net)?;
        let pixels = Tensor::<4>::random(
            [1, 3, 384, 384],
            burn::tensor::Distribution::Normal(0.0, 1.0),
            &device,
        );
        timer.compare(name, 6, || {
            let features = net.forward(pixels.clone()).pop().ok_or("no stage")?;
            if device.is_autodiff() {
                black_box((features.clone() * features.detach()).mean().backward());
            } else {
                black_box(features.into_data());
            }
            Ok(())
        })?;
    }
    Ok(())
}

pub(crate) fn run(mut filters: Vec<String>) -> BoxResult {
    vlp_ops::tune_allocator();
    let only_fast = take_flag(&mut filters, "--fast");
    let apart = take_flag(&mut filters, "--apart");
    let precision = set_precision(&mut filters)?;
    if !apart && !vlp_ops::join_thread_pool() {
        return Err("operations ran before the main thread joined the thread pool".into());
    }
    let timer = Timer { filters, only_fast };
    backbone(&timer)?;
    for arguments in [
        ["e2e-vlp-tiny"].as_slice(),
        &["soho-tiny"],
        &["e2e-vlp-r50", "--quick"],
    ] {
        let name = format!("step of {}", arguments.join(" "));
        if !timer.is_selected(&name) {
            continue;
        }
        let device = Device::flex().autodiff();
        let preset = Preset::open(arguments, device)?.with_precision(precision);
        preset.with_step(|step| timer.compare(&name, 6, step))?;
    }
    Ok(())
}
