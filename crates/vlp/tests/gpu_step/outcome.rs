//! What a recorded run must reproduce.

use burn::module::Module;
use vlp_train::{CheckpointStore, CheckpointWriter, SkipReason, StepOutcome, Trainer};

const HASH: &str = "configuration";

/// The bits of values and gradient norm, and why the step was skipped.
type Step = (Vec<u32>, u32, Option<SkipReason>);

/// The steps of a run, and the files of its last checkpoint.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) steps: Vec<Step>,
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
}

impl Outcome {
    /// Asserts that it is as expected, and that one step alone was skipped.
    #[track_caller]
    pub(crate) fn assert_equals(&self, expected: &Self, skipped: u64) {
        let steps = expected.steps.iter().enumerate();
        let with_reason = steps.filter(|(_, (.., reason))| reason.is_some());
        let numbers: Vec<usize> = with_reason.map(|(number, _)| number).collect();
        assert_eq!(numbers, [skipped as usize]);
        for (step, (a, b)) in self.steps.iter().zip(&expected.steps).enumerate() {
            assert_eq!(a, b, "step {step}");
        }
        assert!(self == expected, "the checkpoints differ");
    }
}

pub(crate) fn step<T>((report, outputs): StepOutcome<T>) -> Step {
    let values = outputs.iter().flat_map(|(_, values)| values);
    let bits = values.map(|value| value.to_bits()).collect();
    (bits, report.grad_norm.to_bits(), report.skipped)
}

/// The new trainer with the state of one that has ended, through a checkpoint.
pub(crate) fn resumed<M: Module>(
    ended: Trainer<M>,
    files: &[(&'static str, Vec<u8>)],
    new: Trainer<M>,
) -> Trainer<M> {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 1).unwrap();
    writer.save(&ended.state(HASH), files, None).unwrap();
    drop((writer, ended));
    let (checkpoint, _) = CheckpointStore::open(folder.path()).latest().unwrap();
    new.resume(&checkpoint, HASH).unwrap()
}
