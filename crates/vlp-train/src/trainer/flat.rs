//! Sums of a step as one flat vector.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use vlp_ops::params::{ParamVisitor, visit_params};
use vlp_ops::to_cpu;

use super::step_sum::{Statistics, StepSum};
use crate::param_values::ParamValues;

/// For each float parameter of the module, whether it has a gradient.
pub(super) fn has_grad<M: Module>(sum: &StepSum, model: &M) -> Vec<bool> {
    let mut visitor = HasGrad {
        grads: sum.grads.as_ref(),
        has_grad: vec![],
    };
    model.visit(&mut visitor);
    visitor.has_grad
}

/// Gradients of the parameters that are true in `has_grad`, then the running statistics, in the order of the module. A
/// gradient that is missing is -0, which changes no bit of any sum.
/// They are written to `flat`, whose memory is reused.
pub(super) fn to_flat<M: Module>(sum: &StepSum, model: &M, has_grad: &[bool], flat: &mut Vec<f32>) {
    flat.clear();
    let mut visitor = ToFlat {
        sum,
        has_grad: has_grad.iter(),
        grads: flat,
        statistics: vec![],
    };
    model.visit(&mut visitor);
    let statistics = visitor.statistics;
    flat.extend(statistics);
}

/// The inverse of [`to_flat`]; without statistics if `changed` is empty.
pub(super) fn from_flat<M: Module>(
    flat: &[f32],
    model: &M,
    has_grad: &[bool],
    changed: Vec<bool>,
) -> StepSum {
    let mut grads = FromFlat {
        flat,
        has_grad: has_grad.iter(),
        grads: GradientsParams::new(),
    };
    model.visit(&mut grads);
    let statistics = (!changed.is_empty()).then(|| {
        let mut statistics = StatisticsFromFlat {
            flat: grads.flat,
            sums: ParamValues::default(),
        };
        visit_params(model, &mut statistics);
        let sums = statistics.sums;
        Statistics { sums, changed }
    });
    let grads = grads.grads;
    StepSum {
        grads: (!grads.is_empty()).then_some(grads),
        statistics,
    }
}

struct HasGrad<'a> {
    grads: Option<&'a GradientsParams>,
    has_grad: Vec<bool>,
}

impl ModuleVisitor for HasGrad<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let grad = self.grads.and_then(|grads| grads.get::<D>(param.id));
        self.has_grad.push(grad.is_some());
    }
}

struct ToFlat<'a> {
    sum: &'a StepSum,
    has_grad: std::slice::Iter<'a, bool>,
    grads: &'a mut Vec<f32>,
    statistics: Vec<f32>,
}

impl ModuleVisitor for ToFlat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.has_grad.next() == Some(&true) {
            let grads = self.sum.grads.as_ref();
            match grads.and_then(|grads| grads.get::<D>(param.id)) {
                Some(grad) => append(self.grads, grad),
                None => {
                    let count = param.lazy_shape().num_elements();
                    self.grads.extend(std::iter::repeat_n(-0.0, count));
                }
            }
        }
        let statistics = self.sum.statistics.as_ref();
        if let Some(sum) = statistics.and_then(|s| s.sums.get::<D>(param.id)) {
            append(&mut self.statistics, sum);
        }
    }
}

fn append<const D: usize>(flat: &mut Vec<f32>, tensor: Tensor<D>) {
    let data = to_cpu(tensor);
    match data.as_slice::<f32>() {
        Ok(values) => flat.extend_from_slice(values),
        // Of another type.
        Err(_) => flat.extend(data.iter::<f32>()),
    }
}

struct FromFlat<'a> {
    flat: &'a [f32],
    has_grad: std::slice::Iter<'a, bool>,
    grads: GradientsParams,
}

impl ModuleVisitor for FromFlat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.has_grad.next() == Some(&true) {
            let grad = take(&mut self.flat, param);
            self.grads.register(param.id, grad);
        }
    }
}

struct StatisticsFromFlat<'a> {
    flat: &'a [f32],
    sums: ParamValues,
}

impl ParamVisitor for StatisticsFromFlat<'_> {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if ParamValues::has_prefix(path, "running_") {
            let sum = take(&mut self.flat, param);
            self.sums.insert(param.id, sum);
        }
    }
}

/// Takes the values of a tensor with the shape of the parameter, without autodiff.
fn take<const D: usize>(flat: &mut &[f32], param: &Param<Tensor<D>>) -> Tensor<D> {
    let like = param.val().without_autodiff();
    let shape = like.shape();
    let (values, rest) = flat.split_at(shape.num_elements());
    *flat = rest;
    let data = TensorData::new(values.to_vec(), shape);
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;

    use super::*;

    #[test]
    fn a_missing_gradient_is_the_neutral_element_of_addition() {
        let device = Device::flex().autodiff();
        let model = LinearConfig::new(2, 1).init(&device);
        let (mut flat, missing) = (vec![7.0], StepSum::default());
        to_flat(&missing, &model, &[true, true], &mut flat);
        // -0 + -0 = -0, but -0 + 0 = 0.
        let bits = flat.iter().map(|value| value.to_bits());
        assert_eq!(bits.collect::<Vec<_>>(), [(-0.0_f32).to_bits(); 3]);
        to_flat(&missing, &model, &[false, true], &mut flat);
        assert_eq!(flat.len(), 1, "the bias alone");
    }
}
