//! Places of connections: connections that wait for their clients give way to new ones.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::activity::Activity;

/// Time that a connection may wait for its client before it gives way: more than between a connection and its request.
const PATIENCE: Duration = Duration::from_secs(1);

/// Places of connections.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    permits: Arc<Semaphore>,
    connections: Mutex<Vec<Weak<Activity>>>,
}

/// The place of a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) activity: Arc<Activity>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            permits: Arc::new(Semaphore::new(most)),
            connections: Mutex::default(),
        }
    }

    /// A place for a new connection: a free one, that of the connection that has waited for its client for longest, or the
    /// next that another one leaves.
    pub(super) async fn take(&self) -> io::Result<Place> {
        let mut permit = std::pin::pin!(Arc::clone(&self.permits).acquire_owned());
        loop {
            let wait = match self.permits.available_permits() {
                0 => self.make_room(),
                _ => PATIENCE,
            };
            if let Ok(permit) = timeout(wait, permit.as_mut()).await {
                let activity = Arc::new(Activity::new());
                self.add(&activity);
                return Ok(Place {
                    activity,
                    _permit: permit.map_err(io::Error::other)?,
                });
            }
        }
    }

    fn add(&self, activity: &Arc<Activity>) {
        let mut connections = self.connections();
        if connections.len() >= self.most {
            connections.retain(|activity| activity.strong_count() > 0);
        }
        connections.push(Arc::downgrade(activity));
    }

    /// Asks the connection that has waited for its client for longest to end, if it has waited for long enough. Returns the
    /// time after which to look for one again.
    fn make_room(&self) -> Duration {
        let connections = self.connections();
        let idle = connections.iter().filter_map(Weak::upgrade);
        let idle = idle.filter_map(|activity| Some((activity.idle_since()?, activity)));
        let Some((since, activity)) = idle.min_by_key(|(since, _)| *since) else {
            return PATIENCE;
        };
        match PATIENCE.checked_sub(since.elapsed()) {
            Some(rest) if !rest.is_zero() => rest,
            _ => {
                activity.ask_to_end();
                PATIENCE
            }
        }
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Weak<Activity>>> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner)
    }
}
