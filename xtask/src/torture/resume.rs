//! A run is resumed at each of its steps.

use std::fs;
use std::path::{Path, PathBuf};

use super::lab::{Lab, copy_folder};
use super::tiny::{self, PRESETS};
use crate::processes::run_files;
use crate::processes::scenario::Outcome;

const STEPS: usize = 40;
const LOADERS: [usize; 3] = [0, 1, 4];

pub(super) fn run(lab: &Lab) -> Outcome<String> {
    let folder = lab.fresh("resume")?;
    let (mut runs, mut points) = (vec![], vec![]);
    for loaders in LOADERS {
        // Alternately, so that both are resumed at many steps.
        let preset = PRESETS[usize::from(loaders == 1)];
        let run = folder.join(format!("unbroken-{loaders}"));
        let mut settings = tiny::settings(preset, STEPS);
        settings.extend(tiny::set(&[
            &format!("data.workers={loaders}"),
            "checkpoint.keep=99",
            "eval.every=20",
            "data.batch_size=1",
        ]));
        lab.vlp(&tiny::new_run(&run, &settings)).run()?.expect(0)?;
        let stride = lab.count(8, 1);
        points.extend((1..=STEPS).step_by(stride).map(|step| (run.clone(), step)));
        runs.push(run);
    }
    let files = lab.each(&points, |index, (unbroken, step)| {
        check(lab, &folder.join(index.to_string()), unbroken, *step)
            .map_err(|why| format!("resumed after step {step}: {why}"))
    })?;
    let count: usize = files.iter().sum();
    Ok(format!(
        "{} resumptions of a run of {STEPS} steps with 0, 1 and 4 loader threads: {count} files, all with the bytes of an uninterrupted run",
        files.len()
    ))
}

/// Resumes a copy of a run that has the checkpoints up to `step`. Returns the number of equal files.
fn check(lab: &Lab, run: &Path, unbroken: &Path, step: usize) -> Result<usize, String> {
    copy_folder(unbroken, run)?;
    for name in run_files::checkpoints(run)? {
        let number: usize = name
            .trim_start_matches("step-")
            .parse()
            .map_err(|_| format!("{name}: no step"))?;
        if number > step {
            let path: PathBuf = run.join("checkpoints").join(name);
            fs::remove_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    lab.vlp(&tiny::resume(run)).run()?.expect(0)?;
    let files = run_files::compare(unbroken, run)?;
    run_files::compare_reports(unbroken, run)?;
    fs::remove_dir_all(run).map_err(|e| format!("{}: {e}", run.display()))?;
    Ok(files)
}
