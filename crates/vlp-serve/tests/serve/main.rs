//! The server on the loopback address, with a small model.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod answers;
mod batches;
mod client;
mod colors;
mod errors;
mod faults;
mod limits;
mod origins;
mod running;
mod schema;
mod stop;
