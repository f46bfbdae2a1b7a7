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
use crate::in_place::InPlace;

/// `decay * average + (1 - decay) * current` of each `[average, current]`; without a decay `current`. The averages stay as they
/// are where the second value of `control` is 0.
pub(crate) fn ema(
    pairs: Vec<[Primitive; 2]>,
    decay: Option<f64>,
    control: Primitive,
    in_place: Option<InPlace>,
) -> Vec<Value> {
    let spec = |[average, _]: &[Primitive; 2]| (average.shape(), average.dtype());
    let outputs = pairs.iter().map(spec).collect();
    let inputs = [control].into_iter().chain(pairs.into_iter().flatten());
    run("vlp_ema", inputs.collect(), outputs, move |inputs| {
        let mut inputs = inputs.into_iter();
        let Some(control) = inputs.next() else {
            return vec![];
        };
        let writable = |tensor| writable(tensor, in_place.as_ref());
        let pair = || Some([writable(inputs.next()?), inputs.next()?]);
        let pairs: Vec<[CubeTensor; 2]> = std::iter::from_fn(pair).collect();
        launch(&pairs, decay, &control);
        pairs.into_iter().map(|[average, _]| average).collect()
    })
}

fn launch(pairs: &[[CubeTensor; 2]], decay: Option<f64>, control: &CubeTensor) {
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
        // SAFETY: units stay below `count`, the length of both tensors of a pair; `control` has two values.
        unsafe {
            ema_kernel::launch_unchecked(
                client,
                cube_count(lengths),
                CubeDim::new_1d(UNITS),
                pairs.iter().map(arg).collect(),
                buffer(control, 2),
                decay.unwrap_or(0.0) as f32,
                (1.0 - decay.unwrap_or(0.0)) as f32,
                decay.is_none(),
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
fn ema_kernel(
    mut averages: Sequence<Average>,
    control: &[f32],
    decay: f32,
    rest: f32,
    #[comptime] copies: bool,
) {
    if control[1] == 0.0 {
        terminate!();
    }
    let count = averages.len().comptime();
    #[unroll]
    for i in 0..count {
        if CUBE_POS_Y == i as u32 {
            let pair = averages.index_mut(i);
            let mut index = CUBE_POS_X * UNITS + UNIT_POS;
            while index < pair.count {
                let at = index as usize;
                let current = pair.current.read(index);
                if comptime!(copies) {
                    pair.average[at] = current;
                } else {
                    pair.average[at] = pair.average[at] * decay + current * rest;
                }
                index += CUBE_COUNT_X * UNITS;
            }
        }
    }
}
