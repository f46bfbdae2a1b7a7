//! The random stream of dropout seeds.

use burn::prelude::*;

/// Seeds a device's random numbers, and the dropout seeds on it: dropout drops the same values on every device.
pub fn seed_random(device: &Device, seed: u64) {
    device.seed(seed);
    stream::seed(device, seed);
}

pub(crate) use stream::sample_seed;

/// The CPU backend's stream, on every device.
#[cfg(feature = "flex")]
mod stream {
    use burn::prelude::*;
    use burn::tensor::Distribution;

    pub(super) fn seed(device: &Device, seed: u64) {
        if !crate::is_cpu(device) {
            Device::flex().seed(seed);
        }
    }

    /// Two numbers of 24 bits.
    pub(crate) fn sample_seed() -> [u32; 2] {
        let mut seed = [0; 2];
        let uniform = Distribution::Uniform(0.0, f64::from(1u32 << 24));
        let sample = Tensor::<1>::random([2], uniform, &Device::flex()).into_data();
        for (seed, value) in seed.iter_mut().zip(sample.iter::<f32>()) {
            *seed = value as u32;
        }
        seed
    }
}

/// Without the CPU backend: this crate's own stream, whose numbers differ.
#[cfg(not(feature = "flex"))]
mod stream {
    use std::sync::{Mutex, PoisonError};

    use burn::prelude::*;

    /// The seed, and how many numbers have been taken.
    static STREAM: Mutex<(u64, u64)> = Mutex::new((0, 0));

    pub(super) fn seed(_device: &Device, seed: u64) {
        *STREAM.lock().unwrap_or_else(PoisonError::into_inner) = (seed, 0);
    }

    /// Two numbers of 24 bits.
    pub(crate) fn sample_seed() -> [u32; 2] {
        let mut stream = STREAM.lock().unwrap_or_else(PoisonError::into_inner);
        let bits = crate::split_mix(stream.0, stream.1);
        stream.1 += 1;
        [(bits >> 40) as u32, (bits & 0xff_ffff) as u32]
    }
}
