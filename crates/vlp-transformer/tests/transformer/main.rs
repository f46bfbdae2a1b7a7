//! Tests of the public interface, in one program, since linking each file alone takes longer.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod attention;
mod common;
mod generation;
mod text;
