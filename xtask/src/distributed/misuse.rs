//! Invalid launches are refused with a message, before anything is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Outcome;
use super::lab::{LIMIT, Lab, new_run, settings};

pub(super) fn run(lab: &Lab) -> Outcome {
    let folder = lab.fresh("misuse")?;
    let settings = settings("e2e-vlp-tiny", 2, 4);
    let run = folder.join("run");
    let train = |mut command: Command| {
        command.args(new_run(&run, &settings));
        command
    };

    let mut singleton = lab.launch(0, &lab.program);
    singleton.env("PMI_SIZE", "4").env("PMI_RANK", "1");
    let message = "a launcher started 4 processes (it set PMI_SIZE), but MPI joined 1: ";
    refuse(
        lab,
        "a launcher of another MPI",
        train(singleton),
        &run,
        message,
    )?;

    let without_mpi = lab.launch(2, &lab.without_mpi);
    let message = "a launcher started 2 processes (it set OMPI_COMM_WORLD_SIZE), but this program is built without MPI; ";
    refuse(
        lab,
        "a build without MPI",
        train(without_mpi),
        &run,
        message,
    )?;

    let message = "3 processes need at least 3 micro-batches per step: ";
    let three = lab.launch(3, &lab.program);
    refuse(
        lab,
        "fewer micro-batches than processes",
        train(three),
        &run,
        message,
    )?;

    let mut evaluate = lab.launch(2, &lab.program);
    evaluate.arg("evaluate").arg(&run);
    let message =
        "2 processes were started together, but only pretrain and finetune share their work";
    refuse(lab, "evaluate", evaluate, &run, message)?;

    let script = rank_1(&folder, "config.sh", "set -- \"$@\" --seed 2")?;
    let message = "error: rank 1 has a different configuration from rank 0: ";
    refuse(
        lab,
        "different configuration",
        train(lab.launch(2, &script)),
        &run,
        message,
    )?;

    // Each process has a working directory of its own.
    for (rank, scenes) in [("0", "24"), ("1", "25"), ("2", "0")] {
        let folder = folder.join(rank);
        fs::create_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        if scenes == "0" {
            continue;
        }
        let data = folder.join("data");
        let mut command = lab.launch(0, &lab.program);
        command
            .args(["scenes", "--count", scenes, "--out"])
            .arg(&data);
        lab.finish(command, &data)?;
    }
    let elsewhere = |name: &str, path: &str| {
        let text = format!("cd {path}\nexec \"$VLP\" \"$@\"\n");
        let script = Lab::script(&folder, name, &text)?;
        let mut command = train(lab.launch(2, &script));
        command.current_dir(&folder).args(["--data", "coco:data"]);
        Ok::<_, String>(command)
    };
    let other = elsewhere("data.sh", "$OMPI_COMM_WORLD_RANK")?;
    let message = "error: rank 1 has different data from rank 0: ";
    refuse(lab, "different data", other, &run, message)?;

    let missing = elsewhere("missing.sh", "$((OMPI_COMM_WORLD_RANK * 2))")?;
    refuse(
        lab,
        "data that one process lacks",
        missing,
        &run,
        "error: rank 1: data",
    )?;
    Ok(())
}

/// A script that changes the arguments of rank 1.
fn rank_1(folder: &Path, name: &str, change: &str) -> Result<PathBuf, String> {
    let text = format!("[ $OMPI_COMM_WORLD_RANK = 1 ] && {change}\nexec \"$VLP\" \"$@\"\n");
    Lab::script(folder, name, &text)
}

/// Runs a command that must end with code 1 and a message, and leave no run folder.
fn refuse(
    lab: &Lab,
    what: &str,
    command: Command,
    run: &Path,
    message: &str,
) -> Result<(), String> {
    let ended = lab.start(command, run)?.wait(LIMIT)?;
    let output = ended
        .expect_of_mpirun(1)
        .map_err(|why| format!("{what}: {why}"))?;
    let line = output.lines().find(|line| line.contains(message));
    let line = line.ok_or_else(|| format!("{what}: no {message:?} in {output}"))?;
    if run.exists() {
        return Err(format!("{what}: {} is left", run.display()));
    }
    println!("  {what}: {line}");
    Ok(())
}
