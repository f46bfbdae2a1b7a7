//! Tests of the public interface, in one program, since linking each file alone takes longer.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod captions;
mod coco_ap;
mod common;
mod encodings;
mod instances;
mod meteor;
mod nlvr2;
mod results;
mod retrieval;
mod subsets;
mod vqa;
