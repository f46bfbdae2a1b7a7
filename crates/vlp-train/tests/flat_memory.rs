//! Steps leave nothing behind. This is the only test of its process, because the memory of the process is measured.
#![allow(clippy::unwrap_used, clippy::panic)]

use burn::module::{Module, Param};
use burn::prelude::*;
use peak_alloc::PeakAlloc;
use vlp_train::{BatchLoss, TrainError, Trainer, TrainerConfig};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Steps of each of three periods; the least use of memory in a period leaves out what a step allocates for itself.
const PERIOD: usize = 100;
/// Bytes that the last period may have more than the one before: a hundredth of what one record for each step and unused parameter
/// would take.
const ALLOWED: usize = 2048;

#[derive(Module, Debug)]
struct Net {
    used: Param<Tensor<1>>,
    /// No loss reads them, as those of a decoder without objectives.
    unused: Vec<Param<Tensor<1>>>,
}

fn least_memory(trainer: &mut Trainer<Net>) -> usize {
    let steps = (0..PERIOD).map(|_| {
        let loss = |net: &Net, _| {
            let loss = net.used.val().square().sum();
            Ok::<_, TrainError>(BatchLoss::new(Ok(loss), ()))
        };
        trainer.step_with_outputs(1, loss).unwrap();
        MEMORY.current_usage()
    });
    steps.min().unwrap()
}

#[test]
fn parameters_that_no_loss_reads_leave_nothing_behind() {
    let device = Device::flex().autodiff();
    for halves in [true, false] {
        let values = || Param::from_data([1.0, 2.0], &device);
        let net = Net {
            used: values(),
            unused: (0..10).map(|_| values()).collect(),
        };
        let config = TrainerConfig::new(1000)
            .with_accumulate(2)
            .with_data_parallel_halves(halves);
        let mut trainer = Trainer::new(net, config).unwrap();
        // Caches and tables grow in the first period.
        let _ = least_memory(&mut trainer);
        let (first, second) = (least_memory(&mut trainer), least_memory(&mut trainer));
        eprintln!("halves {halves}: {first} bytes, then {second}");
        assert!(
            second <= first + ALLOWED,
            "halves {halves}: {first} bytes, then {second}"
        );
    }
}
