//! Ranks as threads of one process, for tests.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ProcessGroup;
use crate::process_group::{check_all_gather, check_all_to_all};

/// Runs `rank_main` in a thread for each rank and returns what they return, in the order of ranks.
///
/// ```
/// use vlp_distributed::testing::run_ranks;
///
/// let ranks = run_ranks(3, |group| group.all_gather(&[group.rank() as u8]));
/// assert_eq!(ranks[2], [[0], [1], [2]]);
/// ```
///
/// # Panics
///
/// If a rank panics, with its message; the other ranks, which would wait for it forever, panic too.
/// If a rank calls [`ProcessGroup::abort`], as `rank R aborted with code C`.
pub fn run_ranks<T: Send>(
    world_size: usize,
    rank_main: impl Fn(Arc<dyn ProcessGroup>) -> T + Sync,
) -> Vec<T> {
    let groups = Threads::connect(world_size);
    let rank_main = &rank_main;
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = groups
            .into_iter()
            .map(|group| {
                scope.spawn(move || {
                    catch_unwind(AssertUnwindSafe(move || rank_main(Arc::new(group))))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().and_then(|result| result))
            .collect()
    });
    let mut values = Vec::new();
    let mut peer_gone = None;
    for result in results {
        match result {
            Ok(value) => values.push(value),
            // Only a consequence of another rank's panic.
            Err(payload) if payload.is::<PeerGone>() => peer_gone = Some(payload),
            Err(payload) => match payload.downcast_ref::<Aborted>() {
                Some(Aborted { rank, code }) => {
                    resume_unwind(Box::new(format!("rank {rank} aborted with code {code}")))
                }
                None => resume_unwind(payload),
            },
        }
    }
    if peer_gone.is_some() {
        resume_unwind(Box::new(
            "a rank ended before a collective that another one waits in".to_owned(),
        ));
    }
    values
}

/// Random values of such different magnitudes that another order of addition gives another sum, for a seed other than 0.
pub fn mixed_sizes(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let unit = (state >> 40) as f32 / 8_388_608.0 - 1.0;
        unit * [1e-4, 1.0, 1e3, 1e-2][(state & 3) as usize]
    })
}

/// Panic of a rank that waits for one that has ended.
struct PeerGone;

/// Panic of a rank that aborts.
struct Aborted {
    rank: usize,
    code: i32,
}

#[derive(Debug, Clone)]
enum Payload {
    Bytes(Vec<u8>),
    Values(Vec<f32>),
}

#[derive(Debug)]
struct Message {
    /// The collective that sent it.
    collective: &'static str,
    payload: Payload,
}

/// One rank, joined to the others by channels.
#[derive(Debug)]
struct Threads {
    rank: usize,
    /// To each rank.
    senders: Vec<Sender<Message>>,
    /// From each rank.
    receivers: Vec<Mutex<Receiver<Message>>>,
}

impl Threads {
    fn connect(world_size: usize) -> Vec<Self> {
        let mut groups: Vec<_> = (0..world_size)
            .map(|rank| Self {
                rank,
                senders: Vec::new(),
                receivers: Vec::new(),
            })
            .collect();
        for from in 0..world_size {
            for to in 0..world_size {
                let (sender, receiver) = channel();
                groups[from].senders.push(sender);
                groups[to].receivers.push(Mutex::new(receiver));
            }
        }
        groups
    }

    fn send(&self, to: usize, collective: &'static str, payload: Payload) {
        let message = Message {
            collective,
            payload,
        };
        // If the rank has ended, receiving from it fails.
        let _ = self.senders[to].send(message);
    }

    fn receive(&self, from: usize, collective: &'static str) -> Payload {
        let receiver = self.receivers[from].lock();
        let receiver = receiver.unwrap_or_else(PoisonError::into_inner);
        let Ok(message) = receiver.recv() else {
            resume_unwind(Box::new(PeerGone))
        };
        let rank = self.rank;
        assert_eq!(
            message.collective, collective,
            "rank {from} and rank {rank} are in different collectives"
        );
        message.payload
    }

    fn receive_bytes(&self, from: usize, collective: &'static str) -> Vec<u8> {
        match self.receive(from, collective) {
            Payload::Bytes(bytes) => bytes,
            Payload::Values(_) => Vec::new(),
        }
    }

    /// Fills `received` with what each rank sends.
    fn receive_values(&self, counts: &[usize], received: &mut [f32], collective: &'static str) {
        let mut rest = received;
        for (from, &count) in counts.iter().enumerate() {
            let values = match self.receive(from, collective) {
                Payload::Values(values) => values,
                Payload::Bytes(_) => Vec::new(),
            };
            assert_eq!(
                values.len(),
                count,
                "values from rank {from} to rank {}",
                self.rank
            );
            let (part, tail) = rest.split_at_mut(count);
            part.copy_from_slice(&values);
            rest = tail;
        }
    }
}

impl ProcessGroup for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.senders.len()
    }

    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let ranks = 0..self.world_size();
        for to in ranks.clone() {
            self.send(to, "all_gather", Payload::Bytes(bytes.to_vec()));
        }
        ranks
            .map(|from| self.receive_bytes(from, "all_gather"))
            .collect()
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        if self.rank == 0 {
            for to in 0..self.world_size() {
                self.send(to, "broadcast", Payload::Bytes(bytes.clone()));
            }
        }
        self.receive_bytes(0, "broadcast")
    }

    fn all_to_all(
        &self,
        send: &[f32],
        send_counts: &[usize],
        received: &mut [f32],
        receive_counts: &[usize],
    ) {
        check_all_to_all(
            self.world_size(),
            (send.len(), send_counts),
            (received.len(), receive_counts),
        );
        let mut rest = send;
        for (to, &count) in send_counts.iter().enumerate() {
            let (part, tail) = rest.split_at(count);
            self.send(to, "all_to_all", Payload::Values(part.to_vec()));
            rest = tail;
        }
        self.receive_values(receive_counts, received, "all_to_all");
    }

    fn all_gather_values(&self, own: &[f32], counts: &[usize], all: &mut [f32]) {
        let ranks = (self.rank, self.world_size());
        check_all_gather(ranks, own.len(), counts, all.len());
        for to in 0..self.world_size() {
            self.send(to, "all_gather_values", Payload::Values(own.to_vec()));
        }
        self.receive_values(counts, all, "all_gather_values");
    }

    fn abort(&self, code: i32) -> ! {
        resume_unwind(Box::new(Aborted {
            rank: self.rank,
            code,
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn collectives_exchange_what_each_rank_gives() {
        let ranks = run_ranks(3, |group| {
            let rank = group.rank();
            let gathered = group.all_gather(&vec![rank as u8; rank]);
            let broadcast = group.broadcast(vec![10 + rank as u8]);
            // Rank r sends r + 1 values to each rank; rank 1 gets none from itself.
            let send = vec![rank as f32; 3 * (rank + 1)];
            let mut received = [9.0; 6];
            group.all_to_all(&send, &[rank + 1; 3], &mut received, &[1, 2, 3]);
            let mut all = [9.0; 3];
            let values: &[f32] = [&[0.5][..], &[], &[2.5, 2.75]][rank];
            group.all_gather_values(values, &[1, 0, 2], &mut all);
            group.finalize();
            (gathered, broadcast, received, all)
        });
        for (gathered, broadcast, received, all) in ranks {
            assert_eq!(gathered, [vec![], vec![1], vec![2, 2]]);
            assert_eq!(broadcast, [10]);
            assert_eq!(received, [0.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
            assert_eq!(all, [0.5, 2.5, 2.75]);
        }
    }

    fn message(rank_main: impl Fn(Arc<dyn ProcessGroup>) + Sync) -> String {
        let payload = catch_unwind(AssertUnwindSafe(|| run_ranks(3, rank_main))).unwrap_err();
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap()
    }

    #[test]
    fn a_panic_of_one_rank_ends_all_with_its_message() {
        let text = message(|group| {
            assert!(group.rank() != 1, "rank one fails");
            group.broadcast(Vec::new());
            group.all_gather(&[]);
        });
        assert!(text.contains("rank one fails"), "{text}");
    }

    #[test]
    fn a_rank_that_returns_early_ends_all() {
        let text = message(|group| {
            if group.rank() != 2 {
                group.all_gather(&[]);
            }
        });
        assert!(text.contains("a rank ended before a collective"), "{text}");
    }

    #[test]
    fn an_abort_ends_all_with_its_code() {
        let text = message(|group| {
            if group.rank() == 2 {
                group.abort(17);
            }
            group.all_gather(&[]);
        });
        assert_eq!(text, "rank 2 aborted with code 17");
    }

    #[test]
    fn different_collectives_are_refused() {
        let text = message(|group| {
            if group.rank() == 0 {
                group.broadcast(Vec::new());
            } else {
                group.all_gather(&[]);
            }
        });
        assert!(text.contains("are in different collectives"), "{text}");
    }
}
