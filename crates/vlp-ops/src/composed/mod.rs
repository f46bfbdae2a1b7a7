//! What both `ops` and `custom_grad` compute, of burn's operations.

pub(crate) mod attention;
pub(crate) mod gelu;
pub(crate) mod softmax;
