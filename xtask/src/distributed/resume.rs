//! A run that is resumed with another number of processes.

use super::lab::{Lab, settings};
use super::{Outcome, run_files};

pub(super) fn run(lab: &Lab) -> Outcome {
    let folder = lab.fresh("resume")?;
    let settings = settings("soho-tiny", 4, 9);
    let (unbroken, run) = (folder.join("unbroken"), folder.join("run"));
    lab.train(0, &unbroken, &settings)?;
    let mut first = settings.clone();
    first.extend(["--stop-at".into(), "3".into()]);
    lab.train(2, &run, &first)?;
    let mut command = lab.launch(4, &lab.program);
    command
        .args(["pretrain", "--stop-at", "7", "--resume"])
        .arg(&run);
    lab.finish(command, &run)?;
    lab.resume(1, &run, &settings)?;
    let files = run_files::compare_stopped(&unbroken, &run)?;
    println!("  2, then 4, then 1 of soho-tiny: {files} files equal");
    Ok(())
}
