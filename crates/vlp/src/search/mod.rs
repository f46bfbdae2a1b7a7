//! Images by text and texts by image among those of a data source.
//!
//! [`write_index`] encodes each image and each text once, by the contrastive head. A search compares the query with all of them,
//! and lets the matching head put the best ones in order, which reads image and text together.

mod changes;
mod data_settings;
mod hits;
mod query;
mod rank;
mod rerank;
mod search_index;
mod thumbnail;
mod write;

pub use hits::{Hits, SearchOptions};
pub use search_index::{SearchIndex, load_run_of};
pub use vlp_serve::{ImageHit, TextHit};
pub use write::{IndexOptions, IndexReport, IndexedSource, write_index};
