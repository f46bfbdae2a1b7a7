//! A gate for tasks.

use std::sync::{Condvar, Mutex};

/// A gate that a task waits at: closed until it is opened.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |(_, open)| !*open).unwrap());
    }

    /// Waits until a task is at the gate.
    pub(crate) fn await_arrival(&self) {
        let state = self.state.lock().unwrap();
        drop(
            self.changed
                .wait_while(state, |(count, _)| *count == 0)
                .unwrap(),
        );
    }

    /// How many came to the gate.
    pub(crate) fn arrivals(&self) -> usize {
        self.state.lock().unwrap().0
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}
