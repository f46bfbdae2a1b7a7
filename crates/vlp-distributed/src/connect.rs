//! Joins the processes that the same launcher started.

use std::sync::Arc;

use crate::{Launch, LaunchError, ProcessGroup, SingleProcess};

/// Joins this process with those that the same launcher started.
///
/// Returns a [`SingleProcess`] without a launcher or if it started only one process; otherwise MPI joins the processes.
/// Must be called once, before other threads start.
///
/// # Errors
///
/// [`LaunchError`] if the launcher's processes cannot be joined, so that none of them trains alone by mistake.
pub fn connect() -> Result<Arc<dyn ProcessGroup>, LaunchError> {
    match Launch::from_env() {
        Some(launch) if launch.world_size != Some(1) => join(&launch),
        _ => Ok(Arc::new(SingleProcess)),
    }
}

#[cfg(feature = "mpi")]
fn join(launch: &Launch) -> Result<Arc<dyn ProcessGroup>, LaunchError> {
    let mpi = crate::Mpi::initialize()?;
    check_world_size(launch, mpi.world_size())?;
    Ok(Arc::new(mpi))
}

#[cfg(not(feature = "mpi"))]
fn join(launch: &Launch) -> Result<Arc<dyn ProcessGroup>, LaunchError> {
    Err(LaunchError::NoMpi {
        variable: launch.variable,
        world_size: launch.world_size,
    })
}

/// With a launcher that MPI does not recognize, every process would be rank 0 of 1.
#[cfg(any(feature = "mpi", test))]
fn check_world_size(launch: &Launch, joined: usize) -> Result<(), LaunchError> {
    match launch.world_size {
        Some(launched) if joined < launched => Err(LaunchError::WorldSize {
            variable: launch.variable,
            launched,
            joined,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_mpi_did_not_join_are_refused_with_the_remedy() {
        let launch = Launch {
            variable: "SLURM_STEP_NUM_TASKS",
            world_size: Some(4),
            local_rank: 0,
        };
        assert_eq!(check_world_size(&launch, 4), Ok(()));
        let text = check_world_size(&launch, 1).map_err(|error| error.to_string());
        assert_eq!(
            text,
            Err(
                "a launcher started 4 processes (it set SLURM_STEP_NUM_TASKS), but MPI joined 1: it is a launcher of another \
                 MPI than the one this program is built with; start it with mpirun of the same MPI, or with \
                 `srun --mpi=pmix` (Open MPI) or `srun --mpi=pmi2` (MPICH)"
                    .to_owned()
            )
        );
        let unknown = Launch {
            world_size: None,
            ..launch
        };
        assert_eq!(check_world_size(&unknown, 1), Ok(()));
    }
}
