//! MPICH, whose collectives are others than Open MPI's.

use std::process::Command;

use super::Outcome;
use super::job::Job;
use super::lab::{LIMIT, Lab};
use crate::processes::folders;

pub(super) fn run(lab: &Lab) -> Outcome {
    lab.require(
        &["mpicc.mpich", "mpiexec.mpich"],
        &["mpich", "libmpich-dev"],
    )?;
    let folder = lab.fresh("mpich")?;
    let with_mpich = folder.join("tree_sum");
    // mpi-sys does not notice that MPICC has changed: with another level of optimization it is another package to cargo.
    let arguments = [
        &["--package", "vlp-distributed", "--example", "tree_sum"],
        &["--features", "mpi"][..],
        &["--config", "env.MPICC=\"mpicc.mpich\""],
        &["--config", "profile.dev.package.mpi-sys.opt-level=2"],
    ];
    folders::build(
        &lab.root,
        &arguments.concat(),
        "examples/tree_sum",
        &with_mpich,
    )?;
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
