//! Multi-tensor updates: on a GPU by a few kernels, in place.
//!
//! Needed as long as burn's optimizers update one parameter after another.

use burn::prelude::*;

use super::stochastic_rounding::moment_dtype;
use crate::capture::Value;
use crate::{AdamWStep, SgdStep, UpdateControl};

/// An AdamW update of one tensor. Parameter, gradient and moments have the same shape; `None` for moments that start at
/// zero.
#[derive(Debug)]
pub struct AdamWUpdate {
    /// The parameter, without autodiff.
    pub parameter: Value,
    /// Its gradient.
    pub grad: Value,
    /// First and second moment, stored as `step` says.
    pub moments: Option<[Value; 2]>,
    /// Constants. [`UpdateControl`] has the factor of the gradient.
    pub step: AdamWStep,
}

impl AdamWUpdate {
    /// An update of tensors without autodiff. Moments of another type than `step` says are converted.
    pub fn new<const D: usize>(
        parameter: Tensor<D>,
        grad: Tensor<D>,
        moments: Option<(Tensor<D>, Tensor<D>)>,
        step: AdamWStep,
    ) -> Self {
        let dtype = moment_dtype(step.bf16_moments, grad.dtype());
        let stored = |moment: Tensor<D>| match moment.dtype() == dtype {
            true => moment.into(),
            false => moment.cast(dtype).into(),
        };
        Self {
            parameter: parameter.into(),
            grad: grad.into(),
            moments: moments.map(|(first, second)| [stored(first), stored(second)]),
            step,
        }
    }
}

/// An SGD update of one tensor.
#[derive(Debug)]
pub struct SgdUpdate {
    /// The parameter, without autodiff.
    pub parameter: Value,
    /// Its gradient.
    pub grad: Value,
    /// The velocity; `None` before the first update.
    pub velocity: Option<Value>,
    /// Constants. [`UpdateControl`] has the factor of the gradient.
    pub step: SgdStep,
}

/// Calls a function with the rank of a tensor as its parameter.
macro_rules! with_rank {
    ($rank:expr, $function:ident($($argument:expr),*)) => {
        match $rank {
            0 | 1 => $function::<1>($($argument),*),
            2 => $function::<2>($($argument),*),
            3 => $function::<3>($($argument),*),
            4 => $function::<4>($($argument),*),
            5 => $function::<5>($($argument),*),
            _ => $function::<6>($($argument),*),
        }
    };
}

/// [`adamw`](crate::adamw()) for many tensors of up to six axes. Returns parameters and moments in their order. Tensors with
/// another owner are copied, all others are updated in place.
///
/// # Panics
/// If [`UpdateControl::with_constants`] got too few, or others than f32.
pub fn adamw_all(updates: Vec<AdamWUpdate>, control: &UpdateControl) -> Vec<[Value; 3]> {
    gpu_path! {
        let updates = match on_gpu::adamw(updates, control) {
            Ok(results) => return results,
            Err(updates) => updates,
        };
    }
    let factor = control.read();
    let update = |update: AdamWUpdate| {
        let rank = update.parameter.rank();
        with_rank!(rank, adamw_one(update, factor))
    };
    updates.into_iter().map(update).collect()
}

fn adamw_one<const D: usize>(update: AdamWUpdate, factor: Option<f32>) -> [Value; 3] {
    let (parameter, grad) = (
        update.parameter.into_tensor::<D, Float>(),
        update.grad.into_tensor::<D, Float>(),
    );
    let moments = update
        .moments
        .map(|moments| moments.map(Value::into_tensor));
    let step = update.step;
    let Some(grad_scale) = factor else {
        let dtype = moment_dtype(step.bf16_moments, grad.dtype());
        let zeros = || Tensor::<D>::zeros(grad.dims(), (&grad.device(), dtype));
        let [first, second] = moments.unwrap_or_else(|| [zeros(), zeros()]);
        return [parameter.into(), first.into(), second.into()];
    };
    let step = AdamWStep { grad_scale, ..step };
    let moments = moments.map(|[first, second]| (first, second));
    let (parameter, first, second) = crate::adamw(parameter, grad, moments, step);
    [parameter.into(), first.into(), second.into()]
}

/// [`sgd`](crate::sgd()) for many tensors of up to six axes. Returns parameters and velocities in their order. Tensors with
/// another owner are copied, all others are updated in place.
///
/// # Panics
/// As [`adamw_all`].
pub fn sgd_all(updates: Vec<SgdUpdate>, control: &UpdateControl) -> Vec<[Value; 2]> {
    gpu_path! {
        let updates = match on_gpu::sgd(updates, control) {
            Ok(results) => return results,
            Err(updates) => updates,
        };
    }
    let factor = control.read();
    let update = |update: SgdUpdate| {
        let rank = update.parameter.rank();
        with_rank!(rank, sgd_one(update, factor))
    };
    updates.into_iter().map(update).collect()
}

fn sgd_one<const D: usize>(update: SgdUpdate, factor: Option<f32>) -> [Value; 2] {
    let (parameter, grad) = (
        update.parameter.into_tensor::<D, Float>(),
        update.grad.into_tensor::<D, Float>(),
    );
    let velocity = update.velocity.map(Value::into_tensor);
    let Some(grad_scale) = factor else {
        let velocity = velocity.unwrap_or_else(|| grad.zeros_like());
        return [parameter.into(), velocity.into()];
    };
    let step = SgdStep {
        grad_scale,
        ..update.step
    };
    let (parameter, velocity) = crate::sgd(parameter, grad, velocity, step);
    [parameter.into(), velocity.into()]
}

/// Constants of the updates of [`adamw_all`] and [`sgd_all`] with these steps, for
/// [`UpdateControl::with_constants`]; moments and velocities are not new. Without momentum there is no velocity to read.
pub fn update_constants(adamw: &[AdamWStep], sgd: &[SgdStep]) -> [Vec<f32>; 2] {
    let adamw = adamw.iter().flat_map(|step| step.constants(false));
    let sgd = sgd.iter();
    let sgd = sgd.flat_map(|step| step.constants(step.momentum == 0.0));
    [adamw.collect(), sgd.collect()]
}

/// `decay * average + (1 - decay) * current` of each `[average, current]`, of up to six axes. Averages without another owner
/// are updated in place. None changes if `control` lets no update take place.
pub fn moving_averages(
    pairs: Vec<[Value; 2]>,
    decay: f64,
    control: Option<&UpdateControl>,
) -> Vec<Value> {
    gpu_path! {
        let pairs = match on_gpu::moving_averages(pairs, Some(decay), control) {
            Ok(results) => return results,
            Err(pairs) => pairs,
        };
    }
    if control.is_some_and(|control| control.read().is_none()) {
        return pairs.into_iter().map(|[average, _]| average).collect();
    }
    let update = |pair: [Value; 2]| {
        let rank = pair[0].rank();
        with_rank!(rank, average_one(pair, decay))
    };
    pairs.into_iter().map(update).collect()
}

/// On a GPU, copies the second tensor of each pair into the memory of the first, if `control` lets an update take place, and
/// returns the first. Elsewhere, and if a pair is not f32 of one shape, it returns the second.
pub fn assign_all(pairs: Vec<[Value; 2]>, control: &UpdateControl) -> Vec<Value> {
    gpu_path! {
        let in_place = control.in_place.clone().unwrap_or_default();
        let control = control.clone().in_place(&in_place);
        let pairs = match on_gpu::moving_averages(pairs, None, Some(&control)) {
            Ok(results) => return results,
            Err(pairs) => pairs,
        };
    }
    let _ = control;
    pairs.into_iter().map(|[_, value]| value).collect()
}

fn average_one<const D: usize>(pair: [Value; 2], decay: f64) -> Value {
    let [average, current] = pair.map(Value::into_tensor::<D, Float>);
    (average.mul_scalar(decay) + current.mul_scalar(1.0 - decay)).into()
}

#[cfg(feature = "gpu")]
mod on_gpu {
    use super::{AdamWUpdate, SgdUpdate, moment_dtype};
    use crate::UpdateControl;
    use crate::capture::Value;
    use crate::cube;
    use crate::cube::update::Tensors;
    use burn::prelude::*;
    use burn::tensor::{DType, Shape};

    /// Whether these tensors fit the kernels, which do not check them: on a GPU, and of this type and shape.
    fn fit<'a>(values: impl IntoIterator<Item = &'a Value>, dtype: DType, shape: &Shape) -> bool {
        let takes = |value: &Value| {
            let (other, other_shape) = value.signature();
            cube::is_on_gpu(value) && other == dtype && other_shape == *shape
        };
        u32::try_from(shape.num_elements()).is_ok() && values.into_iter().all(takes)
    }

    /// A matrix with a row of constants for each tensor, unless it is given, and the control; `None` if these are not on a GPU.
    fn parameters<const N: usize>(
        rows: impl ExactSizeIterator<Item = [f32; N]>,
        given: Option<&Value>,
        control: &UpdateControl,
    ) -> Option<[cube::Primitive; 2]> {
        let values = control.values.clone();
        let count = N * rows.len();
        let constants = given.cloned().unwrap_or_else(|| {
            let rows: Vec<f32> = rows.flatten().collect();
            Tensor::<1>::from_data(rows.as_slice(), (&values.device(), DType::F32)).into()
        });
        let (dtype, shape) = constants.signature();
        let are_complete = dtype == DType::F32 && shape.num_elements() >= count;
        assert!(are_complete, "an update without constants");
        cube::primitives_of([constants, values.into()])
    }

    pub(super) fn adamw(
        updates: Vec<AdamWUpdate>,
        control: &UpdateControl,
    ) -> Result<Vec<[Value; 3]>, Vec<AdamWUpdate>> {
        let Some(first) = updates.first() else {
            return Ok(vec![]);
        };
        let bf16_moments = first.step.bf16_moments;
        let dtype = moment_dtype(bf16_moments, DType::F32);
        let takes = |update: &AdamWUpdate| {
            let (_, shape) = update.parameter.signature();
            fit([&update.parameter, &update.grad], DType::F32, &shape)
                && fit(update.moments.iter().flatten(), dtype, &shape)
                && update.step.bf16_moments == bf16_moments
        };
        if !updates.iter().all(takes) {
            return Err(updates);
        }
        let row = |update: &AdamWUpdate| -> [f32; cube::adamw::CONSTANTS] {
            update.step.constants(update.moments.is_none())
        };
        let given = control.constants.as_ref().map(|[adamw, _]| adamw);
        let Some(inputs) = parameters(updates.iter().map(row), given, control) else {
            return Err(updates);
        };
        let in_place = control.in_place.clone();
        let tensors = updates.into_iter();
        let tensors = tensors.filter_map(|u| tensors_of(u.parameter, u.grad, u.moments));
        let tensors = tensors.collect();
        Ok(cube::adamw::adamw(tensors, bf16_moments, inputs, in_place))
    }

    pub(super) fn sgd(
        updates: Vec<SgdUpdate>,
        control: &UpdateControl,
    ) -> Result<Vec<[Value; 2]>, Vec<SgdUpdate>> {
        let takes = |update: &SgdUpdate| {
            let tensors = [&update.parameter, &update.grad].into_iter();
            let (_, shape) = update.parameter.signature();
            fit(tensors.chain(&update.velocity), DType::F32, &shape)
        };
        if !updates.iter().all(takes) {
            return Err(updates);
        }
        if updates.is_empty() {
            return Ok(vec![]);
        }
        let row = |update: &SgdUpdate| -> [f32; cube::sgd::CONSTANTS] {
            update.step.constants(update.velocity.is_none())
        };
        let given = control.constants.as_ref().map(|[_, sgd]| sgd);
        let Some(inputs) = parameters(updates.iter().map(row), given, control) else {
            return Err(updates);
        };
        let in_place = control.in_place.clone();
        let tensors = updates.into_iter();
        let tensors =
            tensors.filter_map(|u| tensors_of(u.parameter, u.grad, u.velocity.map(|v| [v])));
        let tensors = tensors.collect();
        Ok(cube::sgd::sgd(tensors, inputs, in_place))
    }

    pub(super) fn moving_averages(
        pairs: Vec<[Value; 2]>,
        decay: Option<f64>,
        control: Option<&UpdateControl>,
    ) -> Result<Vec<Value>, Vec<[Value; 2]>> {
        let takes = |pair: &[Value; 2]| fit(pair, DType::F32, &pair[0].signature().1);
        let Some(first) = pairs.first().filter(|_| pairs.iter().all(takes)) else {
            return Err(pairs);
        };
        let always = || UpdateControl::always(&first[0].device());
        let values = control.map_or_else(always, UpdateControl::clone).values;
        let Some([values]) = cube::primitives_of([values.into()]) else {
            return Err(pairs);
        };
        let in_place = control.and_then(|control| control.in_place.clone());
        let pairs = pairs.into_iter().filter_map(cube::primitives_of).collect();
        Ok(cube::ema::ema(pairs, decay, values, in_place))
    }

    /// The tensors of an update that the kernels take.
    fn tensors_of<const N: usize>(
        parameter: Value,
        grad: Value,
        states: Option<[Value; N]>,
    ) -> Option<Tensors<N>> {
        let [parameter, grad] = cube::primitives_of([parameter, grad])?;
        let states = match states {
            Some(states) => Some(cube::primitives_of(states)?),
            None => None,
        };
        Some(Tensors {
            parameter,
            grad,
            states,
        })
    }
}
