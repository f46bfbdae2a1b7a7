//! Detection of the launcher that started this process.

/// Variables with the number of processes: of Open MPI, MPICH and its derivatives, Slurm.
///
/// mpirun inside a Slurm job starts its helpers by srun, so Slurm's variables come last.
/// `SLURM_NTASKS` is not among them, because it is also set in a batch script.
const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];

/// Set by PMIx launchers, some of which do not give the number of processes.
const PMIX: &str = "PMIX_RANK";

/// Variables with the rank among the processes on this host, in the order of `SIZES`.
const LOCAL_RANKS: [&str; 3] = [
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "SLURM_LOCALID",
];

/// Information from a launcher (mpirun, mpiexec, srun) about this process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Launch {
    /// The environment variable that identified the launcher.
    pub variable: &'static str,
    /// Number of processes that it started; `None` if only MPI knows it.
    pub world_size: Option<usize>,
    /// Rank of this process on its host, which selects its GPU; 0 if the launcher does not give it.
    pub local_rank: usize,
}

impl Launch {
    /// The launcher according to the environment of this process; `None` without one.
    pub fn from_env() -> Option<Self> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// The launcher according to these environment variables; `None` without one.
    ///
    /// ```
    /// use vlp_distributed::Launch;
    ///
    /// let srun = [("SLURM_STEP_NUM_TASKS", "16"), ("SLURM_LOCALID", "3")];
    /// let variable = |name: &str| {
    ///     let (_, value) = srun.iter().find(|(key, _)| *key == name)?;
    ///     Some((*value).to_owned())
    /// };
    /// let launch = Launch::from_variables(variable).unwrap();
    /// assert_eq!((launch.world_size, launch.local_rank), (Some(16), 3));
    /// ```
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name| variable(name)?.trim().parse::<usize>().ok();
        let local_rank = LOCAL_RANKS.into_iter().find_map(number).unwrap_or(0);
        let mut sizes = SIZES.into_iter();
        let (variable, world_size) = sizes
            .find_map(|name| Some((name, Some(number(name)?))))
            .or_else(|| number(PMIX).map(|_| (PMIX, None)))?;
        Some(Self {
            variable,
            world_size,
            local_rank,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(variables: &[(&str, &str)]) -> Option<(&'static str, Option<usize>, usize)> {
        let launch = Launch::from_variables(|name| {
            let (_, value) = variables.iter().find(|(key, _)| *key == name)?;
            Some((*value).to_owned())
        })?;
        Some((launch.variable, launch.world_size, launch.local_rank))
    }

    #[test]
    fn each_launcher_tells_world_size_and_local_rank() {
        let openmpi = [
            ("OMPI_COMM_WORLD_SIZE", "4"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "3"),
            ("PMIX_RANK", "3"),
        ];
        assert_eq!(launch(&openmpi), Some(("OMPI_COMM_WORLD_SIZE", Some(4), 3)));
        let hydra = [
            ("PMI_SIZE", "2"),
            ("PMI_RANK", "1"),
            ("MPI_LOCALRANKID", "1"),
        ];
        assert_eq!(launch(&hydra), Some(("PMI_SIZE", Some(2), 1)));
        let srun = [
            ("SLURM_NTASKS", "64"),
            ("SLURM_STEP_NUM_TASKS", "8"),
            ("SLURM_LOCALID", "5"),
            ("PMIX_RANK", "5"),
        ];
        assert_eq!(launch(&srun), Some(("SLURM_STEP_NUM_TASKS", Some(8), 5)));
        assert_eq!(launch(&[("PMIX_RANK", "0")]), Some(("PMIX_RANK", None, 0)));
    }

    #[test]
    fn mpirun_inside_a_slurm_step_outranks_the_step() {
        let variables = [
            ("SLURM_STEP_NUM_TASKS", "2"),
            ("SLURM_LOCALID", "0"),
            ("OMPI_COMM_WORLD_SIZE", "16"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "7"),
        ];
        assert_eq!(
            launch(&variables),
            Some(("OMPI_COMM_WORLD_SIZE", Some(16), 7))
        );
    }

    #[test]
    fn a_process_without_launcher_is_alone() {
        assert_eq!(launch(&[]), None);
        assert_eq!(
            launch(&[("SLURM_NTASKS", "4"), ("SLURM_JOB_ID", "7")]),
            None
        );
        assert_eq!(launch(&[("PMI_SIZE", "many")]), None);
    }
}
