//! [`log_prob`](crate::log_prob) on the CPU.

use super::prelude::*;
use crate::cpu::log_prob::{class_log_probs, log_prob_backward, log_sum_exp};

#[backend_extension(Flex, Autodiff)]
trait LogProbBackend: Backend {
    fn class_log_prob(logits: FloatTensor<Self>, classes: Vec<i32>) -> FloatTensor<Self>;
}

pub(crate) fn log_prob(logits: Tensor<2>, classes: &[i32]) -> Tensor<1> {
    let (logits, classes) = (logits.into_dispatch(), classes.to_vec());
    let output = <Dispatch as LogProbBackend>::class_log_prob(logits, classes);
    Tensor::from_dispatch(output)
}

#[derive(Debug, Clone)]
struct State {
    logits: Array,
    classes: Vec<i32>,
    log_sum_exp: Vec<f32>,
}

impl State {
    fn new(logits: &Array, classes: Vec<i32>) -> Self {
        let logits = contiguous(logits);
        let [_, width] = logits.shape().dims();
        let log_sum_exp = log_sum_exp(as_slice(&logits), width);
        Self {
            logits,
            classes,
            log_sum_exp,
        }
    }

    fn output(&self) -> Array {
        let [rows, width] = self.logits.shape().dims();
        let logits = as_slice(&self.logits);
        let output = class_log_probs(logits, width, &self.classes, &self.log_sum_exp);
        from_vec(output, [rows])
    }
}

impl LogProbBackend for Flex {
    fn class_log_prob(logits: Array, classes: Vec<i32>) -> Array {
        State::new(&logits, classes).output()
    }
}

impl<C: CheckpointStrategy> LogProbBackend for Autodiff<Flex, C> {
    fn class_log_prob(logits: FloatTensor<Self>, classes: Vec<i32>) -> FloatTensor<Self> {
        let state = State::new(logits.primitive(), classes);
        let output = state.output();
        record::<C, _, _>([logits.node()], output, |_, _| state, backward)
    }
}

fn backward(state: State, grad: Array, parents: &mut Parents<'_, 1>) {
    let (grad, logits) = (contiguous(&grad), &state.logits);
    let [rows, width] = logits.shape().dims();
    let State {
        classes,
        log_sum_exp,
        ..
    } = &state;
    let grad = log_prob_backward(
        as_slice(logits),
        width,
        classes,
        log_sum_exp,
        as_slice(&grad),
    );
    parents.add_grad(0, from_vec(grad, [rows, width]));
}
