//! Multi-tensor SGD updates by few kernels, in place.
//!
//! Needed as long as burn's optimizers update one parameter at a time, with constants that are arguments of the launch.

use burn::tensor::DType;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::layout::{Rows, UNITS, buffer, cube_count, element_count, rows};
use super::list::Primitive;
use super::update::{LaunchInputs, Slot, Tensors, update};
use crate::capture::Value;
use crate::in_place::InPlace;

/// Length of a tensor's row of constants: learning rate, weight decay, momentum, and 1 where the velocity is new.
pub(crate) const CONSTANTS: usize = 4;
const ROW: u32 = CONSTANTS as u32;

/// Parameter and velocity of each tensor after the update by constants and control, which is the factor of the gradients, and 0 if nothing may
/// change.
pub(crate) fn sgd(
    tensors: Vec<Tensors<1>>,
    inputs: [Primitive; 2],
    in_place: Option<InPlace>,
) -> Vec<[Value; 2]> {
    let results = update("vlp_sgd", tensors, DType::F32, inputs, in_place, launch);
    let results = results.into_iter();
    results.map(|(p, [velocity])| [p, velocity]).collect()
}

fn launch(slots: &[Slot<1>], inputs: LaunchInputs<'_>) {
    let lengths = slots.iter().map(|slot| element_count(&slot.parameter));
    let arg = |slot: &Slot<1>| {
        let count = element_count(&slot.parameter);
        let [p, v] = [&slot.parameter, &slot.states[0]].map(|tensor| buffer(tensor, count));
        UpdateLaunch::new(p, rows(&slot.grad), v, count as u32)
    };
    let LaunchInputs {
        constants,
        control,
        first,
    } = inputs;
    // SAFETY: units stay below `count`, the length of every tensor of a slot; `constants` has a row for each.
    unsafe {
        sgd_kernel::launch_unchecked(
            &constants.client,
            cube_count(lengths),
            CubeDim::new_1d(UNITS),
            slots.iter().map(arg).collect(),
            buffer(constants, element_count(constants)),
            buffer(control, element_count(control)),
            first,
        );
    }
}

#[derive(CubeType, CubeLaunch)]
struct Update {
    parameter: Box<[f32]>,
    grad: Rows,
    velocity: Box<[f32]>,
    count: u32,
}

#[cube(launch_unchecked)]
fn sgd_kernel(mut updates: Sequence<Update>, constants: &[f32], control: &[f32], first: u32) {
    let row = ((first + CUBE_POS_Y) * ROW) as usize;
    let is_active = control[1] != 0.0;
    let is_new = constants[row + 3] != 0.0;
    if !is_active && !is_new {
        terminate!();
    }
    let count = updates.len().comptime();
    #[unroll]
    for i in 0..count {
        if CUBE_POS_Y == i as u32 {
            let update = updates.index_mut(i);
            let mut index = CUBE_POS_X * UNITS + UNIT_POS;
            while index < update.count {
                let at = index as usize;
                let mut velocity = 0.0f32;
                if !is_new {
                    velocity = update.velocity[at];
                }
                if is_active {
                    let p = update.parameter[at];
                    let grad = update.grad.read(index) * control[0];
                    velocity = p * constants[row + 1] + grad + velocity * constants[row + 2];
                    update.parameter[at] = p - velocity * constants[row];
                }
                update.velocity[at] = velocity;
                index += CUBE_COUNT_X * UNITS;
            }
        }
    }
}
