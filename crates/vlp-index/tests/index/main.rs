//! Indices on disk: exact search, resuming, refusals.
#![allow(clippy::unwrap_used)]

mod damage;
mod search;
mod support;
mod writing;
