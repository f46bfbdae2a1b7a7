//! Errors of joining processes.

/// The processes of a run could not be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// A launcher started processes, but the program is built without MPI.
    #[error(
        "a launcher started {} (it set {variable}), but this program is built without MPI; \
         build it with `--features mpi`, or start one process without a launcher",
        processes(*.world_size)
    )]
    NoMpi {
        /// The launcher's variable.
        variable: &'static str,
        /// Number of processes that it started.
        world_size: Option<usize>,
    },
    /// MPI has joined fewer processes than were started.
    #[error(
        "a launcher started {launched} processes (it set {variable}), but MPI joined {joined}: it is a launcher of another MPI \
         than the one this program is built with; start it with mpirun of the same MPI, or with `srun --mpi=pmix` \
         (Open MPI) or `srun --mpi=pmi2` (MPICH)"
    )]
    WorldSize {
        /// The launcher's variable.
        variable: &'static str,
        /// Number of processes that the launcher started.
        launched: usize,
        /// Number of processes of MPI.
        joined: usize,
    },
    /// The MPI library does not support calls from several threads, one at a time.
    #[error(
        "this MPI library supports calls from the main thread only; one built with MPI_THREAD_SERIALIZED is needed"
    )]
    Threading,
    /// MPI was initialized before.
    #[error("MPI is already initialized in this process")]
    Initialized,
}

fn processes(world_size: Option<usize>) -> String {
    world_size.map_or("this process".to_owned(), |size| {
        format!("{size} processes")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_mpi_says_so() {
        let error = |world_size| {
            let variable = "PMI_SIZE";
            LaunchError::NoMpi {
                variable,
                world_size,
            }
            .to_string()
        };
        assert!(
            error(Some(4)).starts_with("a launcher started 4 processes (it set PMI_SIZE), but")
        );
        assert!(error(None).starts_with("a launcher started this process (it set"));
    }
}
