//! Runs of `vlp` that are started, killed and compared.

pub(crate) mod folders;
pub(crate) mod job;
pub(crate) mod options;
pub(crate) mod random;
pub(crate) mod run_files;
pub(crate) mod scenario;
pub(crate) mod settings;
pub(crate) mod wait;
