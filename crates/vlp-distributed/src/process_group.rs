//! The processes of one training run.

use std::fmt::Debug;

/// The processes that train one model together, numbered by rank.
///
/// All methods except `rank`, `world_size` and `abort` are collectives: every rank calls them in the same order, with
/// matching arguments, and a call returns when this rank has received its values. There is no all-reduce:
/// implementations never add, so the bits of a sum cannot depend on the implementation. [`tree_sum`](crate::tree_sum)
/// adds on top of these methods.
///
/// A collective that cannot be completed because another process has died ends this process or blocks; it never returns.
/// A [`Watchdog`](crate::Watchdog) ends a blocked process.
pub trait ProcessGroup: Send + Sync + Debug {
    /// Rank of this process, in `0..world_size`.
    fn rank(&self) -> usize;

    /// Number of processes, at least 1.
    fn world_size(&self) -> usize;

    /// Gathers the bytes of each rank, in the order of ranks.
    /// Their lengths may differ.
    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>>;

    /// Returns the bytes of rank 0 on every rank; the arguments of the other ranks are ignored.
    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8>;

    /// Sends `send_counts[r]` values to each rank r, taken from `send` in the order of ranks; writes the `receive_counts[r]`
    /// values that come from each rank r to `received`, in the order of ranks.
    ///
    /// # Panics
    ///
    /// If there is not one count for each rank, or their sums are not the lengths of the slices.
    fn all_to_all(
        &self,
        send: &[f32],
        send_counts: &[usize],
        received: &mut [f32],
        receive_counts: &[usize],
    );

    /// Gathers each rank's `counts[rank]` values in `all`, in the order of ranks.
    ///
    /// # Panics
    ///
    /// If there is not one count for each rank, the length of `own` is not `counts[rank]`, or that of `all` is not
    /// their sum.
    fn all_gather_values(&self, own: &[f32], counts: &[usize], all: &mut [f32]);

    /// Leaves the group at the end of a successful run; no other collective may follow.
    ///
    /// A process under a launcher that ends without this call counts as failed, and the launcher ends the others.
    fn finalize(&self) {}

    /// Ends all processes with this exit code.
    fn abort(&self, code: i32) -> !;
}

/// Panics if the arguments of [`ProcessGroup::all_to_all`] do not match.
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

/// Panics if the arguments of [`ProcessGroup::all_gather_values`] do not match.
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
