#![doc = include_str!("../README.md")]

mod fixtures;
mod input;
mod limits;
mod memory_store;
mod must;
mod scratch;
mod source;
mod targets;

pub use scratch::{Scratch, scratch};
pub use targets::*;

/// Reads one input.
///
/// # Panics
/// If something does not hold that must.
pub type Target = fn(&Scratch, &[u8]);

/// The targets by name; each has a corpus in `fuzz/corpus/NAME` and a program in `fuzz/fuzz_targets`.
pub const TARGETS: &[(&str, Target)] = &[
    ("images", images),
    ("tar", tar),
    ("json_readers", json_readers),
    ("json_lines", json_lines),
    ("result_files", result_files),
    ("pth", pth),
    ("safetensors", safetensors),
    ("index_caches", index_caches),
    ("caption_tokenizer", caption_tokenizer),
    ("word_pieces", word_pieces),
    #[cfg(feature = "burn")]
    ("checkpoints", checkpoints),
    #[cfg(feature = "burn")]
    ("configs", configs),
];
