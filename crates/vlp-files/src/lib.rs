#![doc = include_str!("../README.md")]

mod error;
mod partial_file;
mod partial_folder;
mod partial_name;
mod sync;
mod tree;

pub use error::PathError;
pub use partial_file::{PartialFile, write_synced, write_whole};
pub use partial_folder::PartialFolder;
pub use partial_name::is_partial_of;
pub use sync::{create_folder, sync_folder, sync_parent, sync_tree};
pub use tree::{Tree, list_tree};
