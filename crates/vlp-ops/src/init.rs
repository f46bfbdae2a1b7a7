//! Initial values of parameters, declared next to the modules that hold them.
//!
//! [`init_weights!`](crate::init_weights) implements [`InitWeights`] for a module from a list of its fields:
//!
//! ```
//! use burn::module::{Module, Param};
//! use burn::nn::Linear;
//! use burn::prelude::*;
//! use vlp_ops::init_weights;
//!
//! /// Learned queries with a projection.
//! #[derive(Module, Debug)]
//! struct Queries {
//!     table: Param<Tensor<2>>,
//!     projection: Linear,
//!     scale: f64,
//! }
//!
//! // A distribution for each parameter, modules by name, and after `;` the fields that keep their values.
//! init_weights!(Queries { table = Normal(0.02), projection; scale });
//! ```

use std::fmt::{self, Debug, Display};

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Embedding, Linear};
use burn::prelude::*;

use crate::params::with_data;

/// Distribution of a parameter's initial values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distribution {
    /// 0.
    Zeros,
    /// 1.
    Ones,
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Uniform in ±sqrt(6 / (fan in + fan out)), for a matrix `[fan in, fan out]` (Glorot and Bengio 2010).
    XavierUniform,
    /// Normal with mean 0 and variance 2 / fan out, for a kernel `[out, in, height, width]` with fan out
    /// `out * height * width` (He et al. 2015, as in torchvision).
    KaimingNormal,
}

/// A module that sets its parameters and buffers to their initial values; see [`init_weights!`](crate::init_weights).
pub trait InitWeights: Sized {
    /// Replaces all values. Ids, devices and `require_grad` of the parameters do not change.
    fn init_weights(self, scope: &InitScope<'_>) -> Self;
}

/// Values for the parameter at a path, of this shape, in row-major order.
type Sample<'a> = dyn Fn(&str, &[usize], Distribution) -> Vec<f32> + 'a;

/// The position in a model of the module that is being initialized, and the source of values.
pub struct InitScope<'a> {
    path: String,
    sample: &'a Sample<'a>,
}

impl<'a> InitScope<'a> {
    /// The root of a model whose values come from `sample(path, shape, distribution)`; paths are field names and
    /// indices joined by dots.
    pub fn new(sample: &'a Sample<'a>) -> Self {
        let path = String::new();
        Self { path, sample }
    }

    /// The scope of the field or element `name`.
    #[must_use]
    pub fn child(&self, name: impl Display) -> Self {
        let path = match self.path.as_str() {
            "" => name.to_string(),
            path => format!("{path}.{name}"),
        };
        Self { path, ..*self }
    }

    /// `param` with initial values; a `Param`, a `RunningState` or an `Option` of one. `self` is the scope of `param`.
    pub fn init<M: Module>(&self, param: M, distribution: Distribution) -> M {
        param.map(&mut Fill {
            scope: self,
            distribution,
        })
    }
}

impl Debug for InitScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitScope")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

struct Fill<'a> {
    scope: &'a InitScope<'a>,
    distribution: Distribution,
}

impl ModuleMapper for Fill<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape: [usize; D] = param.lazy_shape().dims();
        let values = (self.scope.sample)(&self.scope.path, &shape, self.distribution);
        with_data(param, TensorData::new(values, shape))
    }
}

/// Implements [`InitWeights`](crate::init::InitWeights) for a struct: `field` for a module,
/// `field = Distribution` for a parameter, and after `;` the fields that keep their values. All fields must be listed.
#[macro_export]
macro_rules! init_weights {
    (@value $scope:ident, $field:ident) => {
        $crate::init::InitWeights::init_weights($field, &$scope.child(stringify!($field)))
    };
    (@value $scope:ident, $field:ident = $distribution:expr) => {
        $scope.child(stringify!($field)).init($field, $distribution)
    };
    ($module:ty { $($field:ident $(= $distribution:expr)?),+ $(; $($constant:ident),+)? $(,)? }) => {
        impl $crate::init::InitWeights for $module {
            fn init_weights(self, scope: &$crate::init::InitScope<'_>) -> Self {
                #[allow(unused_imports)]
                use $crate::init::Distribution::*;
                let Self { $($field,)+ $($($constant,)+)? } = self;
                Self {
                    $($field: $crate::init_weights!(@value scope, $field $(= $distribution)?),)+
                    $($($constant,)+)?
                }
            }
        }
    };
}

init_weights!(Linear { weight = XavierUniform, bias = Zeros });
init_weights!(Embedding { weight = Normal(0.02) });
init_weights!(Conv2d {
    weight = KaimingNormal,
    bias = Zeros;
    stride, kernel_size, dilation, groups, padding
});
init_weights!(BatchNorm {
    gamma = Ones,
    beta = Zeros,
    running_mean = Zeros,
    running_var = Ones;
    training, momentum, epsilon
});

impl<M: InitWeights> InitWeights for Option<M> {
    fn init_weights(self, scope: &InitScope<'_>) -> Self {
        self.map(|module| module.init_weights(scope))
    }
}

impl<M: InitWeights> InitWeights for Vec<M> {
    fn init_weights(self, scope: &InitScope<'_>) -> Self {
        self.into_iter()
            .enumerate()
            .map(|(index, module)| module.init_weights(&scope.child(index)))
            .collect()
    }
}

macro_rules! tuple {
    ($($module:ident $index:tt),+) => {
        impl<$($module: InitWeights),+> InitWeights for ($($module,)+) {
            fn init_weights(self, scope: &InitScope<'_>) -> Self {
                ($(self.$index.init_weights(&scope.child($index)),)+)
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
