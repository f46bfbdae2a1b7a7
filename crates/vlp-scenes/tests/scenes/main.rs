//! Tests of the public interface, in one program, since linking each file alone takes longer.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used
)]

mod captions;
mod common;
mod export;
mod held_out;
mod recorded;
mod scenes;
mod tasks;
mod texts;
