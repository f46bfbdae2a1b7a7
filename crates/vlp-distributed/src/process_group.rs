//! The processes of one training run.

use std::fmt::Debug;

/// The processes that train one model together, numbered by rank.
///
/// All methods but `rank`, `world_size` and `abort` are collective: every rank calls them in the same order, with arguments
/// that fit each other, and a call returns when what this rank receives has arrived.
/// There is no all-reduce: no implementation ever adds, so the bits of a sum cannot depend on it.
/// [`tree_sum`](crate::tree_sum) adds on top of these methods.
///
/// A collective that cannot be completed because another process is gone ends this process or blocks; it never returns.
/// A [`Watchdog`](crate::Watchdog) ends a process that blocks.
pub trait ProcessGroup: Send + Sync + Debug {
    /// Number of this process, below `world_size`.
    fn rank(&self) -> usize;

    /// Number of processes, at least 1.
    fn world_size(&self) -> usize;

    /// Bytes of each rank, in the order of ranks.
    /// Their lengths may differ.
    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>>;

    /// Rank 0's bytes; the other ranks' are ignored.
    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8>;

    /// Sends `send_counts[r]` values to each rank r, taken from `send` in the order of ranks; writes the `receive_counts[r]`
    /// values that come from each rank r to `received`, in the order of ranks.
    ///
    /// # Panics
    ///
    /// If the counts are not one for each rank, or their sums are not the lengths of the slices.
    fn all_to_all(
        &self,
        send: &[f32],
        send_counts: &[usize],
        received: &mut [f32],
        receive_counts: &[usize],
    );

    /// Each rank's `counts[rank]` values, written to `all` in the order of ranks.
    ///
    /// # Panics
    ///
    /// If the counts are not one for each rank, `own` is not `counts[rank]` long, or `all` not their sum.
    fn all_gather_values(&self, own: &[f32], counts: &[usize], all: &mut [f32]);

    /// Leaves the group at the end of a successful run; no other collective may follow.
    ///
    /// A process under a launcher that ends without this call counts as failed, and the launcher ends the others.
    fn finalize(&self) {}

    /// Ends all processes with this exit code.
    fn abort(&self, code: i32) -> !;
}

/// Panics where the arguments of [`ProcessGroup::all_to_all`] do not fit each other.
pub(crate) fn check_all_to_all(
    world_size: usize,
    (send, send_counts): (usize, &[usize]),
    (received, receive_counts): (usize, &[usize]),
) {
    for (length, counts) in [(send, send_counts), (received, receive_counts)] {
        assert_eq!(counts.len(), world_size, "counts are one for each rank");
        assert_eq!(
            counts.iter().sum::<usize>(),
            length,
            "counts add up to the values"
        );
    }
}

/// Panics where the arguments of [`ProcessGroup::all_gather_values`] do not fit each other.
pub(crate) fn check_all_gather(
    (rank, world_size): (usize, usize),
    own: usize,
    counts: &[usize],
    all: usize,
) {
    assert_eq!(counts.len(), world_size, "counts are one for each rank");
    assert_eq!(
        counts[rank], own,
        "a rank gives as many values as its count says"
    );
    assert_eq!(
        counts.iter().sum::<usize>(),
        all,
        "counts add up to the values"
    );
}
