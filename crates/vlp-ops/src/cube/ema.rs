//! Multi-tensor moving averages by few kernels, in place.
//!
//! Needed as long as burn has no operation on many tensors.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::layout::{
    Rows, UNITS, buffer, cube_count, element_count, rows, tensors_per_launch, writable,
};
use super::list::{Primitive, run};
use crate::capture::Value;

/// `decay * average + (1 - decay) * current` of each `[average, current]`.
pub(crate) fn ema(pairs: Vec<[Primitive; 2]>, decay: f64) -> Vec<Value> {
    let spec = |[average, _]: &[Primitive; 2]| (average.shape(), average.dtype());
    let outputs = pairs.iter().map(spec).collect();
    let inputs = pairs.into_iter().flatten().collect();
    run("vlp_ema", inputs, outputs, move |inputs| {
        let mut inputs = inputs.into_iter();
        let pair = || Some([writable(inputs.next()?), inputs.next()?]);
        let pairs: Vec<[CubeTensor; 2]> = std::iter::from_fn(pair).collect();
        launch(&pairs, decay);
        pairs.into_iter().map(|[average, _]| average).collect()
    })
}

fn launch(pairs: &[[CubeTensor; 2]], decay: f64) {
    let Some([first, _]) = pairs.first() else {
        return;
    };
    let client = &first.client;
    for pairs in pairs.chunks(tensors_per_launch(client, 2)) {
        let lengths = pairs.iter().map(|[average, _]| element_count(average));
        let arg = |[average, current]: &[CubeTensor; 2]| {
            let count = element_count(average);
            AverageLaunch::new(buffer(average, count), rows(current), count as u32)
        };
        // SAFETY: units stay below `count`, the length of both tensors of a pair.
        unsafe {
            ema_kernel::launch_unchecked(
                client,
                cube_count(lengths),
                CubeDim::new_1d(UNITS),
                pairs.iter().map(arg).collect(),
                decay as f32,
                (1.0 - decay) as f32,
            );
        }
    }
}

#[derive(CubeType, CubeLaunch)]
struct Average {
    average: Box<[f32]>,
    current: Rows,
    count: u32,
}

#[cube(launch_unchecked)]
fn ema_kernel(mut averages: Sequence<Average>, decay: f32, rest: f32) {
    let count = averages.len().comptime();
    #[unroll]
    for i in 0..count {
        if CUBE_POS_Y == i as u32 {
            let pair = averages.index_mut(i);
            let mut index = CUBE_POS_X * UNITS + UNIT_POS;
            while index < pair.count {
                let at = index as usize;
                pair.average[at] = pair.average[at] * decay + pair.current.read(index) * rest;
                index += CUBE_COUNT_X * UNITS;
            }
        }
    }
}
