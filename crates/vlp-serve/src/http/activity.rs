//! Whether a connection waits for its client.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// What a connection does.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Waits for its client since then: for a request's headers, or for the end.
    Idle(Instant),
    /// A request is read or answered.
    Active,
    /// The answer is there and not all of it sent.
    Sending,
}

/// Whether a connection waits for its client, and whether it shall give way to another.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    give_way: Notify,
}

impl Activity {
    /// That of a new connection.
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::Idle(Instant::now())),
            give_way: Notify::new(),
        }
    }

    /// The headers of a request are read.
    pub(super) fn begin(&self) {
        *self.state() = State::Active;
    }

    /// The answer of the request is there.
    pub(super) fn answered(&self) {
        *self.state() = State::Sending;
    }

    /// The system has taken all that was written.
    pub(super) fn sent(&self) {
        let mut state = self.state();
        if let State::Sending = *state {
            *state = State::Idle(Instant::now());
        }
    }

    /// Since when it waits for its client; `None` if it does not.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        match *self.state() {
            State::Idle(since) => Some(since),
            State::Active | State::Sending => None,
        }
    }

    /// Asks the connection to end if it waits for its client.
    pub(super) fn ask_to_end(&self) {
        self.give_way.notify_one();
    }

    /// Waits until the connection shall end.
    pub(super) async fn ended(&self) {
        loop {
            self.give_way.notified().await;
            if self.idle_since().is_some() {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
