//! Any number of processes writes the same bytes.

use std::time::Instant;

use super::lab::{Lab, settings};
use super::{Outcome, run_files};

const PROCESSES: [usize; 5] = [1, 2, 3, 4, 8];

pub(super) fn run(lab: &Lab) -> Outcome {
    for preset in ["e2e-vlp-tiny", "soho-tiny"] {
        let folder = lab.fresh(&format!("equal/{preset}"))?;
        let settings = settings(preset, 8, 6);
        let alone = folder.join("alone");
        lab.train(0, &alone, &settings)?;
        for processes in PROCESSES {
            let start = Instant::now();
            let run = folder.join(processes.to_string());
            lab.train(processes, &run, &settings)?;
            let files = run_files::compare(&alone, &run)?;
            println!(
                "  {preset} on {processes}: {files} files equal, {:.1} s",
                start.elapsed().as_secs_f64()
            );
        }
    }
    Ok(())
}
