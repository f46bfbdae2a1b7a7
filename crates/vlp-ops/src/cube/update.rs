//! Updates of many parameters and of their optimizer's states by few kernels, in place.

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

use super::layout::{empty_like, tensors_per_launch, writable};
use super::list::{Primitive, Spec, run};
use crate::capture::Value;
use crate::in_place::InPlace;

/// Tensors of the update of one parameter, with `N` tensors of state.
pub(crate) struct Tensors<const N: usize> {
    pub(crate) parameter: Primitive,
    pub(crate) grad: Primitive,
    /// Zeros if there are none.
    pub(crate) states: Option<[Primitive; N]>,
}

/// The tensors of one parameter, of which parameter and states may be written into.
pub(super) struct Slot<const N: usize> {
    pub(super) parameter: CubeTensor,
    pub(super) grad: CubeTensor,
    pub(super) states: [CubeTensor; N],
}

/// Inputs of a launch in addition to its parameters.
pub(super) struct LaunchInputs<'a> {
    /// A row for each parameter of the update.
    pub(super) constants: &'a CubeTensor,
    /// The factor of the gradients, and 0 if nothing may change.
    pub(super) control: &'a CubeTensor,
    /// The row of the launch's first parameter.
    pub(super) first: u32,
}

/// Each parameter and its states after the update; `launch` updates some of the parameters by one kernel. States are
/// stored as `dtype`. Tensors with another owner are copied first, unless they are to be updated `in_place`.
pub(super) fn update<const N: usize>(
    name: &'static str,
    tensors: Vec<Tensors<N>>,
    dtype: DType,
    [constants, control]: [Primitive; 2],
    in_place: Option<InPlace>,
    launch: impl Fn(&[Slot<N>], LaunchInputs<'_>) + Send + Sync + 'static,
) -> Vec<(Value, [Value; N])> {
    let has_states: Vec<bool> = tensors.iter().map(|t| t.states.is_some()).collect();
    let specs = |t: &Tensors<N>| -> Vec<Spec> {
        let states = (0..N).map(|_| (t.parameter.shape(), dtype));
        let parameter = (t.parameter.shape(), t.parameter.dtype());
        std::iter::once(parameter).chain(states).collect()
    };
    let outputs = tensors.iter().flat_map(specs).collect();
    let list = |t: Tensors<N>| {
        let states = t.states.into_iter().flatten();
        [t.parameter, t.grad].into_iter().chain(states)
    };
    let inputs = [constants, control].into_iter();
    let inputs = inputs.chain(tensors.into_iter().flat_map(list)).collect();
    let results = run(name, inputs, outputs, move |inputs| {
        let mut inputs = inputs.into_iter();
        let (Some(constants), Some(control)) = (inputs.next(), inputs.next()) else {
            return vec![];
        };
        let slot = |has_states: &bool| {
            let writable = |tensor| writable(tensor, in_place.as_ref());
            let (parameter, grad) = (writable(inputs.next()?), inputs.next()?);
            let states: Vec<CubeTensor> = match has_states {
                true => inputs.by_ref().take(N).map(writable).collect(),
                false => (0..N)
                    .map(|_| empty_like(&parameter, parameter.shape(), dtype))
                    .collect(),
            };
            let states = states.try_into().ok()?;
            Some(Slot {
                parameter,
                grad,
                states,
            })
        };
        let slots: Vec<Slot<N>> = has_states.iter().map_while(slot).collect();
        let mut first = 0;
        for slots in slots.chunks(tensors_per_launch(&constants.client, 2 + N)) {
            let (constants, control) = (&constants, &control);
            launch(
                slots,
                LaunchInputs {
                    constants,
                    control,
                    first,
                },
            );
            first += slots.len() as u32;
        }
        let list = |slot: Slot<N>| std::iter::once(slot.parameter).chain(slot.states);
        slots.into_iter().flat_map(list).collect()
    });
    let mut results = results.into_iter();
    let mut next = || {
        let parameter = results.next()?;
        let states: Vec<Value> = results.by_ref().take(N).collect();
        Some((parameter, states.try_into().ok()?))
    };
    std::iter::from_fn(&mut next).collect()
}
