//! AdamW updates of many tensors by few kernels, in place.
//!
//! Needed as long as burn's optimizers update each parameter by itself, with constants that are part of the kernel's launch.

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::hash::hash;
use super::layout::{
    Rows, UNITS, buffer, cube_count, element_count, empty_like, rows, tensors_per_launch, writable,
};
use super::list::{Primitive, Spec, run};
use crate::capture::Value;

/// What the update of one tensor reads and writes.
pub(crate) struct Tensors {
    pub(crate) parameter: Primitive,
    pub(crate) grad: Primitive,
    /// Zeros if there are none.
    pub(crate) moments: Option<[Primitive; 2]>,
}

/// Constants of a tensor's update, a row of [`CONSTANTS`] in a matrix.
pub(crate) const CONSTANTS: usize = 9;

/// Parameters and moments of each tensor after the update. `constants` has a row a tensor, in the order of
/// [`Constants`]; `control` is the factor of the gradients, and 0 if nothing may change.
pub(crate) fn adamw(
    tensors: Vec<Tensors>,
    bf16_moments: bool,
    constants: Primitive,
    control: Primitive,
) -> Vec<[Value; 3]> {
    let dtype = match bf16_moments {
        true => DType::BF16,
        false => DType::F32,
    };
    let has_moments: Vec<bool> = tensors.iter().map(|t| t.moments.is_some()).collect();
    let spec = |t: &Tensors| -> [Spec; 3] {
        let shape = t.parameter.shape();
        [
            (shape.clone(), t.parameter.dtype()),
            (shape.clone(), dtype),
            (shape, dtype),
        ]
    };
    let outputs = tensors.iter().flat_map(spec).collect();
    let list = |t: Tensors| {
        let moments = t.moments.into_iter().flatten();
        [t.parameter, t.grad].into_iter().chain(moments)
    };
    let inputs = [constants, control].into_iter();
    let inputs = inputs.chain(tensors.into_iter().flat_map(list)).collect();
    let results = run("vlp_adamw", inputs, outputs, move |inputs| {
        let mut inputs = inputs.into_iter();
        let mut next = || inputs.next();
        let (Some(constants), Some(control)) = (next(), next()) else {
            return vec![];
        };
        let slot = |has_moments: &bool| {
            let (parameter, grad) = (writable(next()?), next()?);
            let moments = match has_moments {
                true => [writable(next()?), writable(next()?)],
                false => [0; 2].map(|_| empty_like(&parameter, parameter.shape(), dtype)),
            };
            Some((parameter, grad, moments))
        };
        let slots: Vec<_> = has_moments.iter().map_while(slot).collect();
        launch(&slots, bf16_moments, &constants, &control);
        let list = |(parameter, _, [first, second]): Slot| [parameter, first, second];
        slots.into_iter().flat_map(list).collect()
    });
    let mut results = results.into_iter();
    std::iter::from_fn(|| Some([results.next()?, results.next()?, results.next()?])).collect()
}

/// Parameter, gradient and moments.
type Slot = (CubeTensor, CubeTensor, [CubeTensor; 2]);

fn launch(slots: &[Slot], packed: bool, constants: &CubeTensor, control: &CubeTensor) {
    let client = &constants.client;
    let mut first = 0;
    for slots in slots.chunks(tensors_per_launch(client, 4)) {
        let lengths = slots.iter().map(|slot| element_count(&slot.0));
        let arg = |(parameter, grad, moments): &Slot| {
            let count = element_count(parameter);
            let words = if packed { count.div_ceil(2) } else { count };
            let [m, v] = moments.each_ref().map(|moment| buffer(moment, words));
            UpdateLaunch::new(buffer(parameter, count), rows(grad), m, v, count as u32)
        };
        // SAFETY: units stay below `count`, the length of every tensor of a slot; `constants` has a row for each.
        unsafe {
            adamw_kernel::launch_unchecked(
                client,
                cube_count(lengths),
                CubeDim::new_1d(UNITS),
                slots.iter().map(arg).collect(),
                buffer(constants, element_count(constants)),
                buffer(control, element_count(control)),
                first,
                packed,
            );
        }
        first += slots.len() as u32;
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
    /// What random bits are a function of, with the index.
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
    let row = ((first + CUBE_POS_Y) * 9) as usize;
    let is_active = control[1] != 0.0;
    // Moments that are new are zero, whatever lies in their memory.
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
