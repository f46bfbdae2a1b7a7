#![doc = include_str!("../README.md")]

pub mod e2e_vlp;
pub mod error;
pub mod init;
pub mod objectives;
mod parts;
pub mod soho;

pub use e2e_vlp::{E2eVlp, E2eVlpConfig, ImageTokens};
pub use error::ModelError;
pub use init::initialise;
pub use objectives::{HeadSizes, ObjectivesConfig, PretrainObjectives, PretrainTargets};
pub use parts::Part;
pub use soho::{Pool, Soho, SohoConfig, VisualCells};
