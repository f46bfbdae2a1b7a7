#![doc = include_str!("../README.md")]

pub mod e2e_vlp;
pub mod error;
pub mod init;
pub mod objectives;

pub use e2e_vlp::{E2eVlp, E2eVlpConfig, ImageTokens};
pub use error::ModelError;
pub use init::initialise;
pub use objectives::{E2eObjectives, E2eTargets, ObjectivesConfig};
