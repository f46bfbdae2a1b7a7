//! Tests of the public interface, in one program, since linking each file alone takes longer.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;
mod config;
mod conv;
mod dictionary;
mod frozen;
mod padding;
mod recompute;
mod shapes;
