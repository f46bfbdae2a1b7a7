//! Kernels of our own on a GPU give the results of the CPU path.
#![cfg(feature = "wgpu-untuned")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod assignment;
mod detection;
mod gradients;
mod layers;
mod precision;
mod updates;

use burn::prelude::*;
use vlp_ops::capture::Value;

fn gpu() -> Device {
    Device::wgpu(Default::default())
}

fn devices() -> [Device; 2] {
    [Device::flex(), gpu()]
}

/// Values of one sign and others, of about 1.
fn matrix([rows, columns]: [usize; 2], seed: usize, device: &Device) -> Tensor<2> {
    let value = |i: usize| ((i * 7 + seed * 13) as f32 * 0.37).sin() * 1.5;
    let values: Vec<f32> = (0..rows * columns).map(value).collect();
    Tensor::from_data(TensorData::new(values, [rows, columns]), device)
}

fn floats(value: &Value) -> Vec<f32> {
    let tensor: Tensor<2> = value.tensor();
    tensor.into_data().convert::<f32>().iter().collect()
}

fn assert_close(cpu: &[f32], gpu: &[f32], tolerance: f32, name: &str) {
    assert_eq!(cpu.len(), gpu.len());
    for (i, (cpu, gpu)) in cpu.iter().zip(gpu).enumerate() {
        let scale = cpu.abs().max(1.0);
        assert!(
            (cpu - gpu).abs() <= tolerance * scale,
            "{name}[{i}]: {cpu} {gpu}"
        );
    }
}
