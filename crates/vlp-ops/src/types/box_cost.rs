//! Weights of [`pairwise_box_cost`](crate::pairwise_box_cost).

/// Weights of the cost of two boxes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoxCost {
    /// Of the L1 distance of center and size.
    pub l1: f32,
    /// Of minus the generalized IoU.
    pub giou: f32,
}
