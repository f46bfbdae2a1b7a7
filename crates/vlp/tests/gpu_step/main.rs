//! Training steps on a GPU: skipped ones, and recorded ones.
#![cfg(feature = "wgpu-untuned")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod outcome;
mod recorded;
mod skipped;
mod soho;
