#![doc = include_str!("../README.md")]

mod connect;
mod error;
mod launch;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(all(test, feature = "mpi"))]
mod mpi_tests;
mod process_group;
mod reduce;
mod single;
#[doc(hidden)]
pub mod testing;
mod tree;
mod watchdog;

pub use connect::connect;
pub use error::LaunchError;
pub use launch::Launch;
#[cfg(feature = "mpi")]
pub use mpi::Mpi;
pub use process_group::ProcessGroup;
pub use reduce::{TreeReducer, tree_sum};
pub use single::SingleProcess;
pub use tree::{TreeSum, greatest_nodes, micro_batches_of_rank};
pub use watchdog::{Expiry, PEER_GONE, Section, StepDeadline, Watchdog};
