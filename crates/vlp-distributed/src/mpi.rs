//! Processes joined by MPI.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use mpi::datatype::{Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Equivalence, Root};
use mpi::{Count, Threading};

use crate::process_group::{check_all_gather, check_all_to_all};
use crate::{LaunchError, ProcessGroup};

/// The processes of MPI's world communicator.
///
/// Any thread may call it; concurrent calls are serialized.
/// An MPI error ends all processes.
///
/// Dropping it does not finalize MPI, which would wait forever for the other processes, for example while a panic unwinds.
/// [`ProcessGroup::finalize`] does so at the end of a successful run.
pub struct Mpi {
    rank: usize,
    world_size: usize,
    /// Maximum number of values of a message: MPI counts them as C ints.
    pub(crate) max_count: usize,
    /// `None` after it is finalized; dropping a `Universe` finalizes MPI.
    universe: Mutex<Option<ManuallyDrop<Universe>>>,
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rank, world_size, ..
        } = self;
        write!(f, "Mpi {{ rank: {rank}, world_size: {world_size} }}")
    }
}

impl Mpi {
    /// Initializes MPI; must be called once, before other threads start.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] if MPI was initialized before, or does not support calls from several threads.
    pub fn initialize() -> Result<Self, LaunchError> {
        let (universe, threading) = mpi::initialize_with_threading(Threading::Serialized)
            .ok_or(LaunchError::Initialized)?;
        let universe = ManuallyDrop::new(universe);
        if threading < Threading::Serialized {
            return Err(LaunchError::Threading);
        }
        let world = universe.world();
        Ok(Self {
            rank: length(world.rank()),
            world_size: length(world.size()),
            max_count: length(Count::MAX),
            universe: Mutex::new(Some(universe)),
        })
    }

    /// The world communicator. While the guard lives, no other thread may call MPI.
    ///
    /// A communicator is not stored, because it holds a pointer and could not be sent to another thread.
    fn enter(
        &self,
    ) -> (
        MutexGuard<'_, Option<ManuallyDrop<Universe>>>,
        SimpleCommunicator,
    ) {
        let universe = self.universe.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(universe.is_some(), "a collective after MPI is finalized");
        (universe, SimpleCommunicator::world())
    }

    /// MPI's counts and the offsets that follow from them; ends all processes if one is too large for a C int.
    fn partition(&self, counts: &[usize]) -> (Vec<Count>, Vec<Count>) {
        let mut end = 0_usize;
        let convert = |value: usize| {
            Count::try_from(value).unwrap_or_else(|_| {
                let rank = self.rank;
                eprintln!(
                    "rank {rank}: {value} values in one message; MPI takes at most {}",
                    Count::MAX
                );
                self.abort(1)
            })
        };
        let parts = counts.iter().map(|&count| {
            let offset = end;
            end += count;
            // The end must fit, too.
            convert(end);
            (convert(count), convert(offset))
        });
        parts.unzip()
    }

    /// Gathers each rank's `counts[rank]` items, in several rounds if they are too many for one message.
    fn gather<T: Equivalence + Clone + Default>(&self, own: &[T], counts: &[usize], all: &mut [T]) {
        if all.len() <= self.max_count {
            self.gather_round(own, counts, all);
            return;
        }
        let max_values = (self.max_count / self.world_size).max(1);
        let longest = counts.iter().copied().max().unwrap_or(0);
        let mut received = Vec::new();
        for start in (0..longest).step_by(max_values) {
            let part = |count: usize| start.min(count)..(start + max_values).min(count);
            let part_counts: Vec<usize> = counts.iter().map(|&count| part(count).len()).collect();
            received.resize(part_counts.iter().sum(), T::default());
            self.gather_round(&own[part(own.len())], &part_counts, &mut received);
            let (mut from, mut to) = (&received[..], &mut all[..]);
            for &count in counts {
                let (values, rest) = from.split_at(part(count).len());
                let (rank_values, next) = to.split_at_mut(count);
                rank_values[part(count)].clone_from_slice(values);
                (from, to) = (rest, next);
            }
        }
    }

    fn gather_round<T: Equivalence + Default>(&self, own: &[T], counts: &[usize], all: &mut [T]) {
        if all.is_empty() {
            return;
        }
        // An empty slice of bytes may have the address 1, which Open MPI takes for MPI_IN_PLACE.
        let addressable = [T::default()];
        let send = if own.is_empty() {
            &addressable[..0]
        } else {
            own
        };
        let (counts, offsets) = self.partition(counts);
        let mut all = PartitionMut::new(all, counts, offsets);
        let (_guard, world) = self.enter();
        world.all_gather_varcount_into(send, &mut all);
    }
}

impl ProcessGroup for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.world_size
    }

    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lengths = vec![0_u64; self.world_size];
        {
            let (_guard, world) = self.enter();
            world.all_gather_into(&(bytes.len() as u64), &mut lengths[..]);
        }
        let lengths: Vec<usize> = lengths.into_iter().map(|length| length as usize).collect();
        let mut all = vec![0_u8; lengths.iter().sum()];
        self.gather(bytes, &lengths, &mut all);
        let mut rest = &all[..];
        let split = lengths.into_iter().map(|length| {
            let (bytes, tail) = rest.split_at(length);
            rest = tail;
            bytes.to_vec()
        });
        split.collect()
    }

    fn broadcast(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let (_guard, world) = self.enter();
        let root = world.process_at_rank(0);
        let mut length = bytes.len() as u64;
        root.broadcast_into(&mut length);
        bytes.resize(length as usize, 0);
        for part in bytes.chunks_mut(self.max_count) {
            root.broadcast_into(part);
        }
        bytes
    }

    fn all_to_all(
        &self,
        send: &[f32],
        send_counts: &[usize],
        received: &mut [f32],
        receive_counts: &[usize],
    ) {
        check_all_to_all(
            self.world_size,
            (send.len(), send_counts),
            (received.len(), receive_counts),
        );
        let (send_counts, send_offsets) = self.partition(send_counts);
        let (receive_counts, receive_offsets) = self.partition(receive_counts);
        let send = Partition::new(send, send_counts, send_offsets);
        let mut received = PartitionMut::new(received, receive_counts, receive_offsets);
        let (_guard, world) = self.enter();
        world.all_to_all_varcount_into(&send, &mut received);
    }

    fn all_gather_values(&self, own: &[f32], counts: &[usize], all: &mut [f32]) {
        let ranks = (self.rank, self.world_size);
        check_all_gather(ranks, own.len(), counts, all.len());
        self.gather(own, counts, all);
    }

    fn finalize(&self) {
        let mut universe = self.universe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(universe) = universe.take() {
            drop(ManuallyDrop::into_inner(universe));
        }
    }

    fn abort(&self, code: i32) -> ! {
        // Does not wait for another thread that is blocked in a collective.
        match self.universe.try_lock() {
            Ok(universe) if universe.is_none() => std::process::exit(code),
            Err(TryLockError::Poisoned(error)) if error.get_ref().is_none() => {
                std::process::exit(code)
            }
            _ => SimpleCommunicator::world().abort(code),
        }
    }
}

/// A count of MPI, which is never negative here.
fn length(count: Count) -> usize {
    usize::try_from(count).unwrap_or(0)
}
