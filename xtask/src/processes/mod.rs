//! Runs of `vlp` that are started, killed and compared.

pub(crate) mod job;
pub(crate) mod random;
pub(crate) mod run_files;
pub(crate) mod scenario;
