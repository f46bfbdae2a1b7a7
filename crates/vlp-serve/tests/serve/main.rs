//! The server on the loopback address, with a small model.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod answers;
mod batches;
mod client;
mod color_images;
mod colors;
mod errors;
mod faults;
mod gate;
mod limits;
mod missing_methods;
mod origins;
mod running;
mod schema;
mod search;
mod slow;
mod stop;
mod wrong_values;
