//! Times whole passes with the fast paths of `vlp-ops` and without them, turn by turn in one process: ResNet-50 at
//! 384 pixels, training steps of three presets (forward, losses, backward, clip, AdamW).
//!
//! `cargo run -p vlp --example steps [word...]`: everything, or what contains one of the words; `--fast` leaves out
//! the turns without, `--apart` the main thread from those that share the work; `--bf16` makes products in bf16.

#![allow(clippy::print_stdout)]

mod preset;

use std::hint::black_box;
use std::time::Instant;

use burn::prelude::*;
use vlp_models::initialise;
use vlp_objectives::VisionLanguage;
use vlp_ops::use_fast_paths;
use vlp_train::Trainer;
use vlp_vision::{Depth, ResNet, ResNetConfig};

use preset::{Done, Learner, Preset, Visit, given, precision};

struct Clock {
    words: Vec<String>,
    only_fast: bool,
}

impl Clock {
    fn wants(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word.as_str()))
    }

    /// Prints the least milliseconds of `f` without and with the fast paths.
    fn compare(&self, name: &str, turns: usize, mut f: impl FnMut() -> Done) -> Done {
        let mut best = [f64::INFINITY; 2];
        for turn in 0..2 * turns {
            let fast = turn % 2;
            if self.only_fast && fast == 0 {
                continue;
            }
            use_fast_paths(fast == 1);
            let start = Instant::now();
            f()?;
            best[fast] = best[fast].min(start.elapsed().as_secs_f64() * 1e3);
        }
        use_fast_paths(true);
        let [burn, ours] = best;
        print!("{name:40} with {ours:8.1} ms");
        if burn.is_finite() {
            print!("   without {burn:8.1} ms   {:5.2} x", burn / ours);
        }
        println!();
        Ok(())
    }
}

fn trunk(clock: &Clock) -> Done {
    let config = ResNetConfig::new(Depth::R50);
    for (device, name) in [
        (Device::flex(), "resnet-50 384 forward"),
        (
            Device::flex().autodiff(),
            "resnet-50 384 forward and backward",
        ),
    ] {
        if !clock.wants(name) {
            continue;
        }
        let net = initialise(config.init(&device)?, 1);
        let net = config.freeze(net)?;
        let pixels = Tensor::<4>::random(
            [1, 3, 384, 384],
            burn::tensor::Distribution::Normal(0.0, 1.0),
            &device,
        );
        clock.compare(name, 6, || {
            let map = net.forward(pixels.clone()).pop().ok_or("no stage")?;
            if device.is_autodiff() {
                black_box((map.clone() * map.detach()).mean().backward());
            } else {
                black_box(map.into_data());
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Times the preset's step under this name.
struct Step<'a>(&'a Clock, &'a str);

impl Visit for Step<'_> {
    fn visit<M: VisionLanguage>(
        self,
        preset: &Preset,
        learner: Learner<M>,
        _: fn(&M) -> &ResNet,
    ) -> Done {
        let mut trainer = Trainer::new(learner, preset.config.train.clone())?;
        let examples = preset.examples()?;
        let Self(clock, name) = self;
        clock.compare(name, 6, || Ok(preset.step(&mut trainer, &examples)?))
    }
}

fn main() -> Done {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let (only_fast, apart) = (given(&mut words, "--fast"), given(&mut words, "--apart"));
    precision(&mut words)?;
    if !apart && !vlp_ops::share_main_thread() {
        return Err("operations ran before the main thread could share them".into());
    }
    let clock = Clock { words, only_fast };
    trunk(&clock)?;
    for words in [
        ["e2e-vlp-tiny"].as_slice(),
        &["soho-tiny"],
        &["e2e-vlp-r50", "--quick"],
    ] {
        let name = format!("step of {}", words.join(" "));
        if !clock.wants(&name) {
            continue;
        }
        let device = Device::flex().autodiff();
        Preset::open(words, device)?.visit(Step(&clock, &name))?;
    }
    Ok(())
}
