//! SGD updates of many tensors by few kernels, in place.
//!
//! Needed as long as burn's optimizers update each parameter by itself, with constants that are part of the kernel's launch.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::layout::{
    Rows, UNITS, buffer, cube_count, element_count, empty_like, rows, tensors_per_launch, writable,
};
use super::list::{Primitive, run};
use crate::capture::Value;

/// What the update of one tensor reads and writes.
pub(crate) struct Tensors {
    pub(crate) parameter: Primitive,
    pub(crate) grad: Primitive,
    /// Zeros if there is none.
    pub(crate) velocity: Option<Primitive>,
}

/// Constants of a tensor's update, a row in a matrix: learning rate, weight decay, momentum, and 1 where the velocity is new.
pub(crate) const CONSTANTS: usize = 4;

/// Parameter and velocity of each tensor after the update; `control` is the factor of the gradients, and 0 if nothing may
/// change.
pub(crate) fn sgd(
    tensors: Vec<Tensors>,
    constants: Primitive,
    control: Primitive,
) -> Vec<[Value; 2]> {
    let has_velocity: Vec<bool> = tensors.iter().map(|t| t.velocity.is_some()).collect();
    let spec = |t: &Tensors| [0; 2].map(|_| (t.parameter.shape(), t.parameter.dtype()));
    let outputs = tensors.iter().flat_map(spec).collect();
    let list = |t: Tensors| [t.parameter, t.grad].into_iter().chain(t.velocity);
    let inputs = [constants, control].into_iter();
    let inputs = inputs.chain(tensors.into_iter().flat_map(list)).collect();
    let results = run("vlp_sgd", inputs, outputs, move |inputs| {
        let mut inputs = inputs.into_iter();
        let mut next = || inputs.next();
        let (Some(constants), Some(control)) = (next(), next()) else {
            return vec![];
        };
        let slot = |has_velocity: &bool| {
            let (parameter, grad) = (writable(next()?), next()?);
            let velocity = match has_velocity {
                true => writable(next()?),
                false => empty_like(&parameter, parameter.shape(), parameter.dtype),
            };
            Some([parameter, grad, velocity])
        };
        let slots: Vec<_> = has_velocity.iter().map_while(slot).collect();
        launch(&slots, &constants, &control);
        let list = |[parameter, _, velocity]: [CubeTensor; 3]| [parameter, velocity];
        slots.into_iter().flat_map(list).collect()
    });
    let mut results = results.into_iter();
    std::iter::from_fn(|| Some([results.next()?, results.next()?])).collect()
}

fn launch(slots: &[[CubeTensor; 3]], constants: &CubeTensor, control: &CubeTensor) {
    let client = &constants.client;
    let mut first = 0;
    for slots in slots.chunks(tensors_per_launch(client, 3)) {
        let lengths = slots.iter().map(|slot| element_count(&slot[0]));
        let arg = |[parameter, grad, velocity]: &[CubeTensor; 3]| {
            let count = element_count(parameter);
            let [p, v] = [parameter, velocity].map(|tensor| buffer(tensor, count));
            UpdateLaunch::new(p, rows(grad), v, count as u32)
        };
        // SAFETY: units stay below `count`, the length of every tensor of a slot; `constants` has a row for each.
        unsafe {
            sgd_kernel::launch_unchecked(
                client,
                cube_count(lengths),
                CubeDim::new_1d(UNITS),
                slots.iter().map(arg).collect(),
                buffer(constants, element_count(constants)),
                buffer(control, element_count(control)),
                first,
            );
        }
        first += slots.len() as u32;
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
    let row = ((first + CUBE_POS_Y) * 4) as usize;
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
