//! Training steps, checkpoints and the run log, on small modules with values worked out by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checkpoints;
mod deferred;
mod groups;
mod log;
mod net;
mod processes;
mod resume;
mod skips;
mod steps;
