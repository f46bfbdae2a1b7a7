//! Several hosts, one of which is cut off in the middle of a run.

use std::time::{Duration, Instant};

use super::lab::{LIMIT, Lab, is_root, new_run, settings};
use super::network::Network;
use super::{Failure, Outcome, run_files};
use crate::processes::wait;

const HOSTS: usize = 4;
/// `--longest-wait` of the run that loses a host, in seconds.
const LONGEST_WAIT: u64 = 10;

pub(super) fn run(lab: &Lab) -> Outcome {
    if !is_root() {
        return Err(Failure::Skipped("network namespaces need root".into()));
    }
    lab.require(&["ip"], &["iproute2"])?;
    let folder = lab.fresh("hosts")?;
    let network = Network::up(HOSTS, &folder)?;
    let settings = settings("e2e-vlp-tiny", 4, 10);
    let unbroken = folder.join("unbroken");
    lab.train(0, &unbroken, &settings)?;

    let run = folder.join("run");
    let mut command = network.launch(lab, HOSTS)?;
    command.args(new_run(&run, &settings));
    let start = Instant::now();
    lab.finish(command, &run)?;
    let files = run_files::compare(&unbroken, &run)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("  {HOSTS} hosts: {files} files equal, {seconds:.1} s");

    let run = folder.join("cut");
    let mut command = network.launch(lab, HOSTS)?;
    command.args(new_run(&run, &settings));
    command.args(["--longest-wait", &LONGEST_WAIT.to_string()]);
    let mut job = lab.start(command, &run)?;
    job.wait_until("a step", LIMIT, |_| run_files::logged_lines(&run) > 3)?;
    network.cut(HOSTS)?;
    let start = Instant::now();
    // The launcher may wait for the lost host's daemon, but no process of the run may.
    let limit = Duration::from_secs(LONGEST_WAIT + 5);
    let are_gone = || Ok(job.processes().is_empty());
    if !wait::until(Duration::from_millis(20), limit, are_gone)? {
        let left = job.processes();
        let left: Vec<String> = left.iter().map(|left| left.rank.to_string()).collect();
        return Err(format!("ranks {} are left after the cut", left.join(", ")).into());
    }
    let seconds = start.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(1));
    let launcher = match job.poll()? {
        Some(ended) => format!("mpirun ended with {:?}", ended.code),
        None => "mpirun waits on and is killed".into(),
    };
    job.kill_launcher();
    network.kill_all();
    let mut command = network.launch(lab, HOSTS - 1)?;
    command.args(["pretrain", "--resume"]).arg(&run);
    lab.finish(command, &run)?;
    let files = run_files::compare(&unbroken, &run)?;
    println!(
        "  host {HOSTS} cut off: all processes gone after {seconds:.1} s, {launcher}; {files} files equal on the others"
    );
    Ok(())
}
