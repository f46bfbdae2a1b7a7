//! Compositions of burn's operations that both `ops` and `custom_grad` use.

pub(crate) mod affine;
pub(crate) mod attention;
pub(crate) mod gelu;
pub(crate) mod softmax;
