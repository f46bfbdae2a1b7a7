//! MPICH, whose collectives are others than Open MPI's.

use std::process::Command;

use super::Outcome;
use super::job::Job;
use super::lab::{LIMIT, Lab};
use crate::peer::cargo;

const TARGET: &str = "target/mpich";

pub(super) fn run(lab: &Lab) -> Outcome {
    lab.require(
        &["mpicc.mpich", "mpiexec.mpich"],
        &["mpich", "libmpich-dev"],
    )?;
    let folder = lab.fresh("mpich")?;
    let mut build = cargo(&lab.root);
    build.args([
        "build",
        "--target-dir",
        TARGET,
        "--package",
        "vlp-distributed",
    ]);
    build
        .args(["--features", "mpi", "--example", "tree_sum"])
        .env("MPICC", "mpicc.mpich");
    if !build.status().map_err(|e| format!("cargo: {e}"))?.success() {
        return Err("tree_sum did not build with MPICH".to_owned().into());
    }
    let with_mpich = lab.root.join(TARGET).join("debug/examples/tree_sum");
    let mut hashes = vec![];
    for processes in [1, 2, 3] {
        let mut mpiexec = Command::new("mpiexec.mpich");
        lab.set_variables(&mut mpiexec);
        mpiexec
            .args(["-n", &processes.to_string()])
            .arg(&with_mpich);
        let open_mpi = lab.launch(processes, &lab.tree_sum);
        for (name, program, mut command) in [
            ("MPICH", &with_mpich, mpiexec),
            ("Open MPI", &lab.tree_sum, open_mpi),
        ] {
            command.args(["100000", "8"]);
            let output = folder.join(format!("{name}-{processes}.log"));
            let output = Job::start(command, program, &folder, output)?
                .wait(LIMIT)?
                .expect(0)?;
            let line = output.lines().find(|line| line.contains(" processes: "));
            let line = line.ok_or_else(|| format!("no sum in {output}"))?;
            println!("  {name}: {line}");
            hashes.extend(line.split(' ').next().map(str::to_owned));
        }
    }
    match hashes.iter().all(|hash| *hash == hashes[0]) {
        true => Ok(()),
        false => Err(format!("other sums: {}", hashes.join(", ")).into()),
    }
}
