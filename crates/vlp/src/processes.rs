//! The processes that train one model together: what they exchange, and how long they wait.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vlp_distributed::{ProcessGroup, Section, SingleProcess, Watchdog};
use vlp_train::atomic_file::sha256_hex;
use vlp_train::{Checkpoint, CheckpointScore, TrainState};

use crate::error::VlpError;

/// The group of this process, and the watchdog that ends it when another process has died.
///
/// All methods except [`Self::is_first`], [`Self::section`] and [`Self::beat`] are collectives: all processes call them
/// in the same order.
#[derive(Debug)]
pub(crate) struct Processes {
    group: Arc<dyn ProcessGroup>,
    watchdog: Option<Watchdog>,
    /// Set when this process is asked to stop.
    stop: Option<Arc<AtomicBool>>,
    is_interruptible: AtomicBool,
}

/// A message to the other processes.
#[derive(Serialize, Deserialize)]
enum Message<T> {
    Value(T),
    /// The message of an error.
    Failed(String),
    /// It is asked to stop.
    Interrupted,
}

impl Processes {
    /// `longest_wait` lowers all deadlines.
    pub(crate) fn new(group: Arc<dyn ProcessGroup>, longest_wait: Option<Duration>) -> Self {
        let watchdog = (group.world_size() > 1)
            .then(|| Watchdog::start(group.rank(), longest_wait, |expiry| expiry.exit()));
        Self {
            group,
            watchdog,
            stop: None,
            is_interruptible: AtomicBool::new(false),
        }
    }

    /// A flag that is set when this process is asked to stop.
    pub(crate) fn with_stop(mut self, stop: Option<Arc<AtomicBool>>) -> Self {
        self.stop = stop;
        self
    }

    /// One process alone.
    pub(crate) fn single() -> Self {
        Self::new(Arc::new(SingleProcess), None)
    }

    pub(crate) fn group(&self) -> &Arc<dyn ProcessGroup> {
        &self.group
    }

    pub(crate) fn rank(&self) -> usize {
        self.group.rank()
    }

    pub(crate) fn count(&self) -> usize {
        self.group.world_size()
    }

    /// Whether this is the process that has the run folder and the terminal.
    pub(crate) fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// A part of the program that ends, or [beats](Self::beat), within `deadline` in every process.
    pub(crate) fn section(&self, name: &'static str, deadline: Duration) -> Option<Section<'_>> {
        let watchdog = self.watchdog.as_ref()?;
        Some(watchdog.section(name, deadline))
    }

    /// Whether a stop of this process was requested.
    pub(crate) fn stop_requested(&self) -> bool {
        let stop = self.stop.as_ref();
        stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Restarts the time of the section.
    pub(crate) fn beat(&self) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.beat();
        }
    }

    /// The value of each process, in the order of ranks.
    ///
    /// # Errors
    /// The process's own error, or [`VlpError::Rank`] with that of another one: if one fails, all do.
    pub(crate) fn gather<T: Serialize + DeserializeOwned>(
        &self,
        value: Result<T, VlpError>,
    ) -> Result<Vec<T>, VlpError> {
        if self.count() == 1 {
            return Ok(vec![value?]);
        }
        let (bytes, error) = encode(value);
        let gathered = self.group.all_gather(&bytes);
        if let Some(error) = error {
            return Err(error);
        }
        let ranks = gathered.into_iter().enumerate();
        ranks.map(|(rank, bytes)| decode(rank, &bytes)).collect()
    }

    /// `value`, and the result of `tell` for the value of each process, in the order of ranks.
    ///
    /// # Errors
    /// As [`Self::gather`].
    pub(crate) fn gather_about<V, T: Serialize + DeserializeOwned>(
        &self,
        value: Result<V, VlpError>,
        tell: impl FnOnce(&V) -> Result<T, VlpError>,
    ) -> Result<(V, Vec<T>), VlpError> {
        match value {
            Ok(value) => {
                let told = self.gather(tell(&value))?;
                Ok((value, told))
            }
            Err(error) => {
                self.group.all_gather(&encode_error(&error));
                Err(error)
            }
        }
    }

    /// Calls `run` for the numbers below `count`, each in one of the processes, and returns all values in the order of
    /// numbers. Beats after each call.
    ///
    /// # Errors
    /// As [`Self::gather`]; a process ends at its first error. Inside of [`Self::interruptible`],
    /// [`VlpError::Interrupted`] once a process is asked to stop.
    pub(crate) fn distribute<T: Serialize + DeserializeOwned>(
        &self,
        count: usize,
        mut run: impl FnMut(usize) -> Result<T, VlpError>,
    ) -> Result<Vec<T>, VlpError> {
        let numbers = (self.rank()..count).step_by(self.count());
        let values = numbers.map(|number| {
            if self.is_interruptible.load(Ordering::Relaxed) && self.stop_requested() {
                return Err(VlpError::Interrupted);
            }
            let value = run(number);
            self.beat();
            value
        });
        let gathered = self.gather(values.collect())?;
        let mut values: Vec<_> = gathered.into_iter().map(Vec::into_iter).collect();
        let ranks = (0..count).map(|number| number % self.count());
        Ok(ranks.filter_map(|rank| values[rank].next()).collect())
    }

    /// Runs work that may be interrupted, because a resumed run does it again from its start.
    pub(crate) fn interruptible<T>(&self, run: impl FnOnce() -> T) -> T {
        self.is_interruptible.store(true, Ordering::Relaxed);
        let output = run();
        self.is_interruptible.store(false, Ordering::Relaxed);
        output
    }

    /// The result of `run` in the first process; the others do not call it.
    ///
    /// # Errors
    /// That of `run`, which in the others is a [`VlpError::Rank`].
    pub(crate) fn on_first<T: Serialize + DeserializeOwned>(
        &self,
        run: impl FnOnce() -> Result<T, VlpError>,
    ) -> Result<T, VlpError> {
        if self.count() == 1 {
            return run();
        }
        if !self.is_first() {
            return decode(0, &self.group.broadcast(vec![]));
        }
        let (bytes, error) = encode(run());
        let bytes = self.group.broadcast(bytes);
        match error {
            Some(error) => Err(error),
            None => decode(0, &bytes),
        }
    }

    /// Checks that the files of the checkpoint of `step` have the same bytes in all processes.
    ///
    /// # Errors
    /// [`VlpError::Replicas`] that names those which differ from the first.
    pub(crate) fn check_replicas(
        &self,
        step: u64,
        files: &[(&'static str, Vec<u8>)],
    ) -> Result<(), VlpError> {
        if self.count() == 1 {
            return Ok(());
        }
        let hashes: Vec<String> = files.iter().map(|(_, bytes)| sha256_hex(bytes)).collect();
        let hashes = self.gather(Ok(hashes))?;
        let ranks = (0..hashes.len()).filter(|&rank| hashes[rank] != hashes[0]);
        let ranks: Vec<usize> = ranks.collect();
        match ranks.is_empty() {
            true => Ok(()),
            false => Err(VlpError::Replicas { step, ranks }),
        }
    }

    /// The first process's checkpoint.
    pub(crate) fn share_checkpoint(
        &self,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Option<Checkpoint>, VlpError> {
        if self.count() == 1 {
            return Ok(checkpoint);
        }
        let head = checkpoint.as_ref().map(|checkpoint| {
            let names: Vec<&String> = checkpoint.files.keys().collect();
            (
                &checkpoint.path,
                &checkpoint.state,
                &checkpoint.score,
                names,
            )
        });
        let (bytes, _) = encode(Ok(head));
        type Head = (PathBuf, TrainState, Option<CheckpointScore>, Vec<String>);
        let head: Option<Head> = decode(0, &self.group.broadcast(bytes))?;
        let Some((path, state, score, names)) = head else {
            return Ok(None);
        };
        let mut files = checkpoint.map(|checkpoint| checkpoint.files);
        let files = names.into_iter().map(|name| {
            let bytes = files.as_mut().and_then(|files| files.remove(&name));
            (name, self.group.broadcast(bytes.unwrap_or_default()))
        });
        Ok(Some(Checkpoint {
            files: files.collect(),
            path,
            state,
            score,
        }))
    }
}

/// The bytes of a value or of an error's message, and the error, also that of a value which cannot be encoded.
fn encode<T: Serialize>(value: Result<T, VlpError>) -> (Vec<u8>, Option<VlpError>) {
    let bytes = value.and_then(|value| {
        rmp_serde::to_vec_named(&Message::Value(value))
            .map_err(|e| VlpError::Config(format!("a message to other processes: {e}")))
    });
    match bytes {
        Ok(bytes) => (bytes, None),
        Err(error) => (encode_error(&error), Some(error)),
    }
}

fn encode_error(error: &VlpError) -> Vec<u8> {
    let message = match error {
        VlpError::Interrupted => Message::<()>::Interrupted,
        error => Message::Failed(error.to_string()),
    };
    rmp_serde::to_vec_named(&message).unwrap_or_default()
}

fn decode<T: DeserializeOwned>(rank: usize, bytes: &[u8]) -> Result<T, VlpError> {
    match rmp_serde::from_slice(bytes) {
        Ok(Message::Value(value)) => Ok(value),
        Ok(Message::Failed(reason)) => Err(VlpError::Rank { rank, reason }),
        Ok(Message::Interrupted) => Err(VlpError::Interrupted),
        Err(error) => Err(VlpError::Rank {
            rank,
            reason: format!("its message cannot be read: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use vlp_distributed::testing::run_ranks;

    use super::*;

    fn outcomes<T: Send>(run: impl Fn(&Processes) -> T + Sync) -> Vec<T> {
        run_ranks(3, |group| run(&Processes::new(group, None)))
    }

    #[test]
    fn values_and_errors_reach_all_processes() {
        let gathered = outcomes(|processes| processes.gather(Ok(processes.rank())).unwrap());
        assert_eq!(gathered, vec![vec![0, 1, 2]; 3]);
        let errors = outcomes(|processes| {
            let value = match processes.rank() {
                1 => Err(VlpError::Config("bad data".into())),
                rank => Ok(rank),
            };
            processes.gather(value).unwrap_err().to_string()
        });
        assert_eq!(errors, ["rank 1: bad data", "bad data", "rank 1: bad data"]);
    }

    #[test]
    fn a_stop_of_one_process_interrupts_all() {
        let outcomes = run_ranks(3, |group| {
            let stop = Arc::new(AtomicBool::new(false));
            let rank = group.rank();
            let processes = Processes::new(group, None).with_stop(Some(stop.clone()));
            let distribute = || {
                processes.distribute(9, |number| {
                    stop.store(rank == 1 && number == 4, Ordering::Relaxed);
                    Ok(number)
                })
            };
            let uninterrupted = distribute().unwrap();
            stop.store(false, Ordering::Relaxed);
            let interrupted = processes.interruptible(distribute);
            (
                uninterrupted,
                matches!(interrupted, Err(VlpError::Interrupted)),
            )
        });
        assert_eq!(outcomes, vec![((0..9).collect(), true); 3]);
    }

    #[test]
    fn other_weights_are_named() {
        let outcomes = outcomes(|processes| {
            let files = [("model.bpk", vec![(processes.rank() / 2) as u8])];
            let outcome = processes.check_replicas(7, &files);
            outcome.unwrap_err().to_string()
        });
        for message in outcomes {
            assert!(
                message.starts_with("step 7: the weights of rank 2 differ"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_checkpoint_reaches_all_processes() {
        let checkpoint = || Checkpoint {
            path: "runs/a/checkpoints/step-00000003".into(),
            state: TrainState {
                step: 3,
                skipped: 1,
                skipped_in_row: 0,
                config_hash: "c".into(),
            },
            score: None,
            files: [("model.bpk".into(), vec![1, 2]), ("ema.bpk".into(), vec![])].into(),
        };
        let shared = outcomes(|processes| {
            let read = processes.is_first().then(checkpoint);
            format!("{:?}", processes.share_checkpoint(read).unwrap())
        });
        assert_eq!(shared, vec![format!("{:?}", Some(checkpoint())); 3]);
        let none = outcomes(|processes| processes.share_checkpoint(None).unwrap().is_none());
        assert_eq!(none, [true; 3]);
    }

    #[test]
    fn calls_are_distributed_and_their_values_ordered() {
        let distributed = outcomes(|processes| {
            let run = |number| Ok((number, processes.rank()));
            [4, 0].map(|count| processes.distribute(count, run).unwrap())
        });
        let expected = [vec![(0, 0), (1, 1), (2, 2), (3, 0)], vec![]];
        assert_eq!(distributed, vec![expected; 3]);
    }

    #[test]
    fn only_the_first_process_runs_and_all_have_its_outcome() {
        let values = outcomes(|processes| {
            let run = || Ok((processes.rank(), f64::NAN));
            format!("{:?}", processes.on_first(run).unwrap())
        });
        assert_eq!(values, ["(0, NaN)"; 3]);
        let errors = outcomes(|processes| {
            let run = || Err::<(), _>(VlpError::Config("disk full".into()));
            processes.on_first(run).unwrap_err().to_string()
        });
        assert_eq!(
            errors,
            ["disk full", "rank 0: disk full", "rank 0: disk full"]
        );
    }
}
