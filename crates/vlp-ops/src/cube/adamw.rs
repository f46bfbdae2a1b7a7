//! Multi-tensor AdamW updates by few kernels, in place.
//!
//! Needed as long as burn's optimizers update one parameter at a time, with constants that are arguments of the launch.

use burn::tensor::DType;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::hash::hash;
use super::layout::{Rows, UNITS, buffer, cube_count, element_count, rows};
use super::list::Primitive;
use super::update::{LaunchInputs, Slot, Tensors, update};
use crate::capture::Value;
use crate::in_place::InPlace;

/// Length of a tensor's row of constants: the first seven of [`Constants`], the number of the step, and 1 where the moments
/// are new.
pub(crate) const CONSTANTS: usize = 9;
const ROW: u32 = CONSTANTS as u32;

/// Parameters and moments of each tensor after the update. `constants` has a row for each tensor; `control` is the
/// factor of the gradients, and 0 if nothing may change.
pub(crate) fn adamw(
    tensors: Vec<Tensors<2>>,
    bf16_moments: bool,
    [constants, control]: [Primitive; 2],
    in_place: Option<InPlace>,
) -> Vec<[Value; 3]> {
    let dtype = match bf16_moments {
        true => DType::BF16,
        false => DType::F32,
    };
    let launch =
        move |slots: &[Slot<2>], inputs: LaunchInputs<'_>| launch(slots, bf16_moments, &inputs);
    let inputs = [constants, control];
    let results = update("vlp_adamw", tensors, dtype, inputs, in_place, launch);
    let results = results.into_iter();
    results
        .map(|(p, [first, second])| [p, first, second])
        .collect()
}

fn launch(slots: &[Slot<2>], packed: bool, inputs: &LaunchInputs<'_>) {
    let lengths = slots.iter().map(|slot| element_count(&slot.parameter));
    let arg = |slot: &Slot<2>| {
        let count = element_count(&slot.parameter);
        let words = if packed { count.div_ceil(2) } else { count };
        let [m, v] = slot.states.each_ref().map(|moment| buffer(moment, words));
        let parameter = buffer(&slot.parameter, count);
        UpdateLaunch::new(parameter, rows(&slot.grad), m, v, count as u32)
    };
    let LaunchInputs {
        constants, control, ..
    } = inputs;
    // SAFETY: units stay below `count`, the length of every tensor of a slot; `constants` has a row for each.
    unsafe {
        adamw_kernel::launch_unchecked(
            &constants.client,
            cube_count(lengths),
            CubeDim::new_1d(UNITS),
            slots.iter().map(arg).collect(),
            buffer(constants, element_count(constants)),
            buffer(control, element_count(control)),
            inputs.first,
            packed,
        );
    }
}

#[derive(CubeType, CubeLaunch)]
struct Update {
    parameter: Box<[f32]>,
    grad: Rows,
    /// The moments' bits: a value in each word, or two of bf16.
    first: Box<[u32]>,
    second: Box<[u32]>,
    count: u32,
}

/// Constants of one update.
#[derive(CubeType)]
struct Constants {
    learning_rate: f32,
    retained: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    bias_correction1: f32,
    bias_correction2: f32,
    /// The seed of random bits, which are a function of it and the index.
    seed: u32,
    count: u32,
    grad_scale: f32,
}

#[cube(launch_unchecked)]
fn adamw_kernel(
    mut updates: Sequence<Update>,
    constants: &[f32],
    control: &[f32],
    first: u32,
    #[comptime] packed: bool,
) {
    let row = ((first + CUBE_POS_Y) * ROW) as usize;
    let is_active = control[1] != 0.0;
    // New moments are zero, whatever their memory contains.
    let is_new = constants[row + 8] != 0.0;
    if !is_active && !is_new {
        terminate!();
    }
    let step_number = u32::cast_from(constants[row + 7]);
    let count = updates.len().comptime();
    #[unroll]
    for i in 0..count {
        if CUBE_POS_Y == i as u32 {
            let update = updates.index_mut(i);
            let constants = Constants {
                learning_rate: constants[row],
                retained: constants[row + 1],
                beta1: constants[row + 2],
                beta2: constants[row + 3],
                epsilon: constants[row + 4],
                bias_correction1: constants[row + 5],
                bias_correction2: constants[row + 6],
                seed: step_number * 0x9e37_79b9u32,
                count: update.count,
                grad_scale: control[0],
            };
            update_tensor(update, &constants, is_active, is_new, packed);
        }
    }
}

#[cube]
fn update_tensor(
    update: &mut Update,
    constants: &Constants,
    is_active: bool,
    is_new: bool,
    #[comptime] packed: bool,
) {
    let words = if packed {
        (update.count + 1) / 2
    } else {
        update.count
    };
    let mut word = CUBE_POS_X * UNITS + UNIT_POS;
    while word < words {
        let index = word as usize;
        let mut first = 0u32;
        let mut second = 0u32;
        if !is_new {
            first = update.first[index];
            second = update.second[index];
        }
        if packed {
            let low = 2 * word;
            let (first_low, second_low) = update_value(
                update,
                constants,
                low,
                first << 16,
                second << 16,
                is_active,
                packed,
            );
            let mut first_high = first & 0xffff_0000u32;
            let mut second_high = second & 0xffff_0000u32;
            if low + 1 < update.count {
                let (high1, high2) = update_value(
                    update,
                    constants,
                    low + 1,
                    first_high,
                    second_high,
                    is_active,
                    packed,
                );
                first_high = high1;
                second_high = high2;
            }
            update.first[index] = (first_low >> 16) | (first_high & 0xffff_0000u32);
            update.second[index] = (second_low >> 16) | (second_high & 0xffff_0000u32);
        } else {
            let (new_first, new_second) =
                update_value(update, constants, word, first, second, is_active, packed);
            update.first[index] = new_first;
            update.second[index] = new_second;
        }
        word += CUBE_COUNT_X * UNITS;
    }
}

/// Updates a value of the parameter; returns the bits of its moments, of which bf16 keeps the upper half.
#[cube]
fn update_value(
    update: &mut Update,
    constants: &Constants,
    index: u32,
    first: u32,
    second: u32,
    is_active: bool,
    #[comptime] packed: bool,
) -> (u32, u32) {
    let mut bits1 = first;
    let mut bits2 = second;
    if is_active {
        let g = update.grad.read(index) * constants.grad_scale;
        let mean = f32::reinterpret(first) * constants.beta1 + g * (1.0 - constants.beta1);
        let square = f32::reinterpret(second) * constants.beta2 + g * g * (1.0 - constants.beta2);
        let delta = (mean / constants.bias_correction1)
            / ((square / constants.bias_correction2).sqrt() + constants.epsilon);
        let p = update.parameter[index as usize];
        update.parameter[index as usize] = p * constants.retained - delta * constants.learning_rate;
        bits1 = u32::reinterpret(mean);
        bits2 = u32::reinterpret(square);
        if packed {
            let random = hash(constants.seed, constants.count, index);
            bits1 += random >> 16;
            bits2 += random & 0xffffu32;
        }
    }
    (bits1, bits2)
}
