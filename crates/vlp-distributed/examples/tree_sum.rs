//! Prints a hash of a tree sum, which is the same on any number of processes.
//!
//! ```sh
//! cargo build --release -p vlp-distributed --features mpi --example tree_sum
//! mpirun -n 3 target/release/examples/tree_sum [VALUES] [MICRO_BATCHES]
//! ```

#![allow(clippy::print_stdout)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use vlp_distributed::testing::mixed_sizes;
use vlp_distributed::{ProcessGroup, TreeReducer, TreeSum, connect, micro_batches_of_rank};

fn main() -> ExitCode {
    let group = match connect() {
        Ok(group) => group,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match catch_unwind(AssertUnwindSafe(|| run(&*group))) {
        Ok(()) => group.finalize(),
        Err(_) => group.abort(1),
    }
    ExitCode::SUCCESS
}

fn run(group: &dyn ProcessGroup) {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse().ok());
    let length = arguments.next().flatten().unwrap_or(1_000_000);
    let micro_batches = arguments.next().flatten().unwrap_or(8);
    let (rank, world_size) = (group.rank(), group.world_size());

    let range = micro_batches_of_rank(rank, world_size, micro_batches);
    let mut sum = TreeSum::new(micro_batches, range.clone());
    for micro_batch in range {
        sum.push(values(micro_batch, length), |mut left, right| {
            for (left, right) in left.iter_mut().zip(right) {
                *left += right;
            }
            left
        });
    }
    let partials = sum.finish();

    let mut reducer = TreeReducer::default();
    let mut total = vec![0.0; length];
    // The first time allocates the buffers.
    let mut milliseconds = f64::INFINITY;
    for _ in 0..4 {
        group.all_gather(&[]);
        let start = Instant::now();
        reducer.sum(group, micro_batches, &partials, &mut total);
        group.all_gather(&[]);
        milliseconds = milliseconds.min(start.elapsed().as_secs_f64() * 1e3);
    }

    let hash = hash(&total);
    let hashes = group.all_gather(&hash.to_le_bytes());
    assert!(
        hashes.iter().all(|other| *other == hash.to_le_bytes()),
        "ranks have different sums"
    );
    if rank == 0 {
        println!(
            "{hash:016x} on {world_size} processes: {micro_batches} micro-batches of {length} values, {milliseconds:.3} ms"
        );
    }
}

/// The values of a micro-batch.
fn values(micro_batch: usize, length: usize) -> Vec<f32> {
    let seed = (micro_batch as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed_sizes(seed).take(length).collect()
}

/// FNV-1a over the values' bits.
fn hash(values: &[f32]) -> u64 {
    values.iter().fold(0xcbf2_9ce4_8422_2325, |hash, value| {
        (hash ^ u64::from(value.to_bits())).wrapping_mul(0x100_0000_01b3)
    })
}
