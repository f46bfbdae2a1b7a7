#![doc = include_str!("../README.md")]

mod common;
pub mod e2e_vlp;
pub mod error;
pub mod init;
mod merged;
pub mod soho;

pub use common::RecomputeTarget;
pub use e2e_vlp::{E2eVlp, E2eVlpConfig};
pub use error::ModelError;
pub use init::initialize;
pub use soho::{Pool, Soho, SohoConfig};
