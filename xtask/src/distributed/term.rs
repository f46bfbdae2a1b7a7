//! SIGTERM, which schedulers send before they take a machine away.

use super::job::send;
use super::lab::{LIMIT, Lab, new_run, settings};
use super::{Outcome, run_files};

pub(super) fn run(lab: &Lab) -> Outcome {
    let folder = lab.fresh("term")?;
    let mut settings = settings("soho-tiny", 4, 12);
    // So rarely that the step of the signal is saved because of it.
    settings.extend(["--set".into(), "checkpoint.every=12".into()]);
    let unbroken = folder.join("unbroken");
    lab.train(0, &unbroken, &settings)?;
    for rank in [0, 2] {
        let run = folder.join(format!("rank-{rank}"));
        let mut command = lab.launch(3, &lab.program);
        command.args(new_run(&run, &settings));
        let mut job = lab.start(command, &run)?;
        job.wait_until("a step", LIMIT, |_| run_files::logged_lines(&run) > 2)?;
        let processes = job.processes();
        let process = processes
            .get(rank)
            .ok_or(format!("rank {rank} has ended before"))?;
        send("TERM", &process.id.to_string());
        let output = job.wait(LIMIT)?.expect_of_mpirun(75)?;
        let newest = run_files::checkpoints(&run)?.pop().unwrap_or_default();
        let step = newest.trim_start_matches(|c: char| !c.is_ascii_digit() || c == '0');
        let message = format!("stopped after step {step}, which is saved; resume with: ");
        if !output.contains(&message) {
            return Err(format!("{newest} is saved, but no {message:?} in {output}").into());
        }
        lab.resume(2, &run, &settings)?;
        let files = run_files::compare_stopped(&unbroken, &run)?;
        println!(
            "  rank {rank}: all saved step {step} and ended with 75; resumed on 2, {files} files equal"
        );
    }
    // mpirun passes the signal on, and a second later it kills.
    let run = folder.join("mpirun");
    let mut command = lab.launch(3, &lab.program);
    command.args(new_run(&run, &settings));
    let mut job = lab.start(command, &run)?;
    job.wait_until("a step", LIMIT, |_| run_files::logged_lines(&run) > 2)?;
    send("TERM", &job.launcher().to_string());
    let output = job.wait(LIMIT)?.expect_of_mpirun(1)?;
    let saved = output
        .lines()
        .find(|line| line.starts_with("stopped after step"));
    let saved = saved.unwrap_or("killed before it was saved").to_owned();
    lab.resume(2, &run, &settings)?;
    let files = run_files::compare_stopped(&unbroken, &run)?;
    println!("  mpirun: ended with 1, {saved}; resumed on 2, {files} files equal");
    Ok(())
}
