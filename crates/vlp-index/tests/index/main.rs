//! Indices on disk: exact search, resuming, refusals.
#![allow(clippy::unwrap_used)]

mod damage;
mod embeddings;
mod search;
mod support;
mod writing;
