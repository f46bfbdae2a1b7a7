//! `vlp` under bad luck: killed, out of space, without power, on bad files. What is left is compared with what should be.

mod bad_files;
mod calls;
mod disk;
mod faults;
mod fuzz;
mod hash;
mod kill;
mod lab;
mod memory;
mod options;
mod page;
mod png;
mod power;
mod program;
mod quarantine;
mod resume;
mod shared;
mod stores;
mod subject;
mod tiny;
mod unsafe_code;

use std::path::Path;

use crate::processes::scenario::{self, Scenario};
use lab::Lab;
use options::Options;

const SCENARIOS: [Scenario<Lab, String>; 11] = [
    Scenario {
        name: "kill",
        shows: "a run, index or set that is killed at any moment and completed has the bytes of one that was not",
        run: kill::run,
    },
    Scenario {
        name: "faults",
        shows: "each call that changes files fails, or the process is killed there",
        run: faults::run,
    },
    Scenario {
        name: "power",
        shows: "power is lost at each call that changes files",
        run: power::run,
    },
    Scenario {
        name: "resume",
        shows: "a run is resumed at each step, with 0, 1 and 4 loader threads",
        run: resume::run,
    },
    Scenario {
        name: "shared",
        shows: "other trainers, readers, a folder that becomes read-only, a clock that goes back",
        run: shared::run,
    },
    Scenario {
        name: "bad-files",
        shows: "cut, changed and replaced files of each reader are refused with a message",
        run: bad_files::run,
    },
    Scenario {
        name: "quarantine",
        shows: "of many samples exactly the bad ones are left out and named",
        run: quarantine::run,
    },
    Scenario {
        name: "stores",
        shows: "an object store that cuts, stalls, lies or changes gives the result of a working one or a named error",
        run: stores::run,
    },
    Scenario {
        name: options::MEMORY,
        shows: "memory, open files and threads of a long run stay as they are, and its losses are those of a short one",
        run: memory::run,
    },
    Scenario {
        name: options::FUZZ,
        shows: "no input that libFuzzer finds makes a reader panic, hang, take much memory or break what it promises",
        run: fuzz::run,
    },
    Scenario {
        name: options::UNSAFE,
        shows: "kernels that write through pointers have no undefined behavior that Miri or the address sanitizer finds",
        run: unsafe_code::run,
    },
];

/// Runs the named tests, or all, and lists what became of them. By hand, their figures go to docs/reliability.md.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let options = Options::parse(words)?;
    let scenarios = scenario::choose(&SCENARIOS, &options.names)?;
    let lab = Lab::new(root, options)?;
    let (runs, result) = scenario::run(&scenarios, &lab);
    if lab.options.long {
        page::write(
            root,
            &SCENARIOS.map(|scenario| scenario.name),
            &runs,
            &lab.options,
        )?;
    }
    result
}
