//! A process that trains alone.

use crate::ProcessGroup;
use crate::process_group::{check_all_gather, check_all_to_all};

/// A group of one process.
#[derive(Debug, Clone, Copy, Default)]
pub struct SingleProcess;

impl ProcessGroup for SingleProcess {
    fn rank(&self) -> usize {
        0
    }

    fn world_size(&self) -> usize {
        1
    }

    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        vec![bytes.to_vec()]
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
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
            1,
            (send.len(), send_counts),
            (received.len(), receive_counts),
        );
        received.copy_from_slice(send);
    }

    fn all_gather_values(&self, own: &[f32], counts: &[usize], all: &mut [f32]) {
        check_all_gather((0, 1), own.len(), counts, all.len());
        all.copy_from_slice(own);
    }

    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}
