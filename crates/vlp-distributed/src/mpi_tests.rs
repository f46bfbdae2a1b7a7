//! Tests of MPI: each starts this program by mpirun, with the name of a child test; Open MPI's mpirun is needed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::{
    Mpi, PEER_GONE, ProcessGroup, TreeSum, Watchdog, connect, micro_batches_of_rank, tree_sum,
};

/// Says which child to be; without it, child tests do nothing.
const CHILD: &str = "VLP_DISTRIBUTED_CHILD";
/// More than any run takes.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a launcher without ranks may take to start or to end.
const GRACE: Duration = Duration::from_secs(30);

fn child(name: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|child| child == name)
}

/// Runs a command that ends by itself, or fails.
fn output(mut command: Command) -> Output {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let start = Instant::now();
    while process.try_wait().unwrap().is_none() {
        let waits_for_none = start.elapsed() > GRACE && living_children(process.id()).is_empty();
        if start.elapsed() > LIMIT || waits_for_none {
            process.kill().unwrap();
            let output = process.wait_with_output().unwrap();
            assert!(waits_for_none, "no end after {LIMIT:?}: {output:?}");
            return output;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    process.wait_with_output().unwrap()
}

/// Children of a process that have not ended.
fn living_children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let living = entries.filter_map(|entry| {
        let id = entry.file_name().to_string_lossy().parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // After the name in parentheses: state and parent.
        let mut fields = stat.rsplit(')').next()?.split_whitespace();
        let (state, of) = (fields.next()?, fields.next()?);
        (state != "Z" && of == parent.to_string()).then_some(id)
    });
    living.collect()
}

/// The launcher passed on the code of a rank. Open MPI 4.1's mpirun now and then crashes or hangs when all ranks have ended, which
/// is not what is tested.
fn assert_failure(output: &Output, code: i32) {
    let text = String::from_utf8_lossy(&output.stderr);
    let launcher_died = output.status.code().is_none() || text.contains("PMIx_server_finalize");
    if launcher_died {
        eprintln!("mpirun itself crashed or hung after its ranks had ended");
    }
    assert!(
        launcher_died || output.status.code() == Some(code),
        "{output:?}"
    );
}

/// This program as a child.
fn program(name: &str) -> [String; 4] {
    let program = std::env::current_exe()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    [
        program,
        format!("mpi_tests::child_{name}"),
        "--exact".to_owned(),
        "--nocapture".to_owned(),
    ]
}

/// Runs a child on so many ranks; `None` without Open MPI's mpirun.
fn mpirun(ranks: usize, name: &str) -> Option<Output> {
    let version = Command::new("mpirun").arg("--version").output();
    if !version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("Open MPI")) {
        eprintln!("SKIPPED: there is no mpirun of Open MPI");
        return None;
    }
    let mut command = Command::new("mpirun");
    command
        .args([
            "--oversubscribe",
            "--bind-to",
            "none",
            "--mca",
            "mpi_yield_when_idle",
            "1",
        ])
        .args(["-n", &ranks.to_string(), "-x", CHILD])
        .args(program(name))
        .env(CHILD, name)
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    Some(output(command))
}

/// Every rank has run its child test.
fn assert_success(output: &Output, ranks: usize) {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("1 passed").count(), ranks, "{output:?}");
}

#[test]
fn child_collectives() {
    if !child("collectives") {
        return;
    }
    let mut group = Mpi::initialize().unwrap();
    let (rank, world_size) = (group.rank(), group.world_size());
    // With the second limit everything takes several rounds.
    for max_count in [group.max_count, 4] {
        group.max_count = max_count;
        let bytes = vec![rank as u8; 5 * rank];
        let expected: Vec<_> = (0..world_size)
            .map(|rank| vec![rank as u8; 5 * rank])
            .collect();
        assert_eq!(group.all_gather(&bytes), expected);

        assert_eq!(group.broadcast(vec![rank as u8; 9 + rank]), [0; 9]);

        let counts: Vec<_> = (0..world_size).map(|rank| 7 * (rank % 2)).collect();
        let value = |rank: usize, index: usize| (100 * rank + index) as f32;
        let values: Vec<_> = (0..counts[rank]).map(|index| value(rank, index)).collect();
        let mut all = vec![f32::NAN; counts.iter().sum()];
        group.all_gather_values(&values, &counts, &mut all);
        let ranks = (0..world_size).flat_map(|rank| (0..counts[rank]).map(move |i| (rank, i)));
        let expected: Vec<_> = ranks.map(|(rank, index)| value(rank, index)).collect();
        assert_eq!(all, expected);

        // Each rank sends r values to rank r.
        let send_counts: Vec<_> = (0..world_size).collect();
        let send = vec![rank as f32; send_counts.iter().sum()];
        let mut received = vec![f32::NAN; rank * world_size];
        group.all_to_all(&send, &send_counts, &mut received, &vec![rank; world_size]);
        let from = |from| std::iter::repeat_n(from as f32, rank);
        assert_eq!(received, (0..world_size).flat_map(from).collect::<Vec<_>>());
    }
    group.finalize();
    let after = catch_unwind(AssertUnwindSafe(|| group.broadcast(Vec::new())));
    assert!(after.is_err());
}

#[test]
fn collectives_exchange_what_each_rank_gives() {
    for ranks in 1..=4 {
        let Some(output) = mpirun(ranks, "collectives") else {
            return;
        };
        assert_success(&output, ranks);
    }
}

/// A sum with many buckets of the default size is the example's.
fn leaf(micro_batch: usize) -> Vec<f32> {
    let value = |index: usize| {
        let unit = ((micro_batch + 1) * (index + 7) * 7919 % 10_007) as f32 / 5003.0 - 1.0;
        unit * [1e-4, 1.0, 1e3, 1e-2][(micro_batch + index) % 4]
    };
    (0..1001).map(value).collect()
}

fn partials(micro_batches: usize, rank: usize, world_size: usize) -> Vec<Vec<f32>> {
    let range = micro_batches_of_rank(rank, world_size, micro_batches);
    let mut sum = TreeSum::new(micro_batches, range.clone());
    for micro_batch in range {
        sum.push(leaf(micro_batch), |mut left, right| {
            left.iter_mut()
                .zip(right)
                .for_each(|(left, right)| *left += right);
            left
        });
    }
    sum.finish()
}

#[test]
fn child_sum() {
    if !child("sum") {
        return;
    }
    let group = connect().unwrap();
    let (rank, world_size) = (group.rank(), group.world_size());
    // Collectives may be called from any thread.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for micro_batches in world_size..=9 {
                let partials = partials(micro_batches, rank, world_size);
                let total = tree_sum(&*group, micro_batches, &partials, 1001);
                let expected = &self::partials(micro_batches, 0, 1)[0];
                let bits = |values: &[f32]| -> Vec<u32> {
                    values.iter().map(|value| value.to_bits()).collect()
                };
                assert_eq!(bits(&total), bits(expected));
            }
        });
    });
    group.finalize();
}

#[test]
fn sums_have_the_bits_of_one_process() {
    for ranks in 1..=4 {
        let Some(output) = mpirun(ranks, "sum") else {
            return;
        };
        assert_success(&output, ranks);
    }
}

#[test]
fn child_panic() {
    if !child("panic") {
        return;
    }
    let group = connect().unwrap();
    let train = || {
        if group.rank() == 1 {
            // A thread that waits in a collective does not keep another one from aborting.
            let waiting = group.clone();
            std::thread::spawn(move || waiting.all_gather(&[]));
            std::thread::sleep(Duration::from_millis(200));
            panic!("rank one fails");
        }
        group.broadcast(Vec::new());
    };
    match catch_unwind(AssertUnwindSafe(train)) {
        Ok(()) => group.finalize(),
        Err(_) => group.abort(17),
    }
}

#[test]
fn a_panic_that_is_caught_and_aborted_ends_all() {
    let Some(output) = mpirun(3, "panic") else {
        return;
    };
    assert_failure(&output, 17);
    assert!(String::from_utf8_lossy(&output.stderr).contains("rank one fails"));
}

#[test]
fn child_hang() {
    if !child("hang") {
        return;
    }
    let group = connect().unwrap();
    let watchdog = Watchdog::start(group.rank(), Some(Duration::from_secs(1)), |expiry| {
        expiry.exit()
    });
    if group.rank() == 1 {
        std::thread::sleep(LIMIT);
    }
    let _section = watchdog.section("step", LIMIT);
    group.all_gather(&[]);
}

#[test]
fn a_watchdog_ends_ranks_that_wait_for_one_that_hangs() {
    let Some(output) = mpirun(3, "hang") else {
        return;
    };
    assert_failure(&output, PEER_GONE);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("section step has not ended after 1 s: another process"),
        "{text}"
    );
}

#[test]
fn child_singleton() {
    if !child("singleton") {
        return;
    }
    eprintln!("{}", connect().unwrap_err());
    std::process::exit(1);
}

#[test]
fn a_launcher_that_mpi_does_not_understand_is_refused() {
    let [program, arguments @ ..] = program("singleton");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env(CHILD, "singleton")
        .env("SLURM_STEP_NUM_TASKS", "4");
    let output = output(command);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("a launcher started 4 processes"), "{text}");
    assert!(text.contains("MPI joined 1"), "{text}");
}
