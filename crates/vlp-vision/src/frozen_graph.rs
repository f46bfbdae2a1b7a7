//! Training steps in which a whole module is frozen, as a recorded graph.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{Module, Param};
use burn::prelude::*;
use vlp_ops::capture::{CaptureReport, Captured, Value};
use vlp_ops::params::{ParamVisitor, visit_params};

/// A graph for each shape of the pixels, recorded again when the weights have changed (see [`Captured`]). Clones share the
/// graphs.
#[derive(Debug, Clone, Default)]
pub(crate) struct FrozenGraph(Arc<Mutex<Option<Recorded>>>);

#[derive(Debug)]
struct Recorded {
    weights: Vec<Value>,
    graph: Captured<(), Infallible>,
}

impl FrozenGraph {
    /// The feature maps that `forward` computes with `module`, without gradients; `None` if an eager pass is needed: on the
    /// CPU, without autodiff, and if a weight or the pixels may have a gradient.
    pub(crate) fn forward<M: Module + Sync + 'static>(
        &self,
        module: &M,
        pixels: &Tensor<4>,
        forward: fn(&M, Tensor<4>) -> Vec<Tensor<4>>,
    ) -> Option<Vec<Tensor<4>>> {
        let device = pixels.device();
        if vlp_ops::is_cpu(&device) || !device.is_autodiff() || pixels.is_tracked() {
            return None;
        }
        let weights = frozen_weights(module)?;
        let mut recorded = self.lock();
        let is_same = |recorded: &Recorded| {
            let mut pairs = recorded.weights.iter().zip(&weights);
            pairs.all(|(old, new)| old.is_same_tensor(new))
        };
        if !recorded.as_ref().is_some_and(is_same) {
            let module = module.valid();
            let graph = Captured::new("frozen backbone", &device.inner(), move |(), values| {
                let maps = forward(&module, values[0].tensor());
                Ok(maps.into_iter().map(Value::from).collect())
            });
            *recorded = Some(Recorded { weights, graph });
        }
        let pixels = pixels.clone().without_autodiff().into();
        let Ok(maps) = recorded.as_mut()?.graph.call(&(), &[pixels]);
        let maps = maps.iter().map(|map| Tensor::from_inner(map.tensor()));
        Some(maps.collect())
    }

    /// How often the graph was recorded and replayed; `None` before the first step with a frozen backbone.
    pub(crate) fn report(&self) -> Option<CaptureReport> {
        Some(self.lock().as_ref()?.graph.report())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Recorded>> {
        // A panic while the lock is held leaves the previous value.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Weights and running statistics; `None` if one of them may have a gradient. Freezing weights also makes their norms
/// use the running statistics.
fn frozen_weights<M: Module>(module: &M) -> Option<Vec<Value>> {
    struct Collect {
        weights: Vec<Value>,
        is_frozen: bool,
    }
    impl ParamVisitor for Collect {
        fn visit<const D: usize>(&mut self, _path: &str, param: &Param<Tensor<D>>) {
            let value = param.val();
            self.is_frozen &= !value.is_require_grad();
            self.weights.push(value.without_autodiff().into());
        }
    }
    let mut collect = Collect {
        weights: vec![],
        is_frozen: true,
    };
    visit_params(module, &mut collect);
    collect.is_frozen.then_some(collect.weights)
}
