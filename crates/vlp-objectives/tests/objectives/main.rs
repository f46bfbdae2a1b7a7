//! Tests of the public interface, in one program, since linking each file alone takes longer.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod captioning;
mod common;
mod conformance;
mod contrast;
mod detection;
mod downstream;
mod masking;
mod matching;
mod no_targets;
mod nothing_to_predict;
mod result_files;
mod set;
mod set_loss;
