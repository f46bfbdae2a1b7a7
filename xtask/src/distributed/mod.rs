//! Tests of training with several processes and real launchers: equal results, failures, hosts, Slurm.

mod equal;
mod hosts;
mod kill;
mod lab;
mod misuse;
mod mpich;
mod network;
mod options;
mod resume;
pub(crate) mod scale;
mod slurm;
mod slurm_daemons;
mod term;

use std::path::Path;

use crate::processes::scenario::{self, Failure, Outcome, Scenario};
use crate::processes::{job, random, run_files};
use lab::Lab;
use options::Options;

const SCENARIOS: [Scenario<Lab>; 8] = [
    Scenario {
        name: "equal",
        shows: "1 to 8 processes write the files of one, to the byte",
        run: equal::run,
    },
    Scenario {
        name: "resume",
        shows: "a run goes on with another number of processes",
        run: resume::run,
    },
    Scenario {
        name: "kill",
        shows: "a process that fails or hangs ends all, and the run can be resumed",
        run: kill::run,
    },
    Scenario {
        name: "term",
        shows: "SIGTERM to one process saves the step of all",
        run: term::run,
    },
    Scenario {
        name: "misuse",
        shows: "what cannot work is refused with a message",
        run: misuse::run,
    },
    Scenario {
        name: "hosts",
        shows: "four hosts over TCP, one of which is cut off",
        run: hosts::run,
    },
    Scenario {
        name: "slurm",
        shows: "srun and sbatch of a Slurm of one node",
        run: slurm::run,
    },
    Scenario {
        name: "mpich",
        shows: "MPICH gives the sums of Open MPI",
        run: mpich::run,
    },
];

/// Runs the named scenarios, or all, and lists their outcomes.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let options = Options::parse(words)?;
    let scenarios = scenario::choose(&SCENARIOS, &options.names)?;
    let lab = Lab::new(root, options)?;
    scenario::run(&scenarios, &lab).1
}
