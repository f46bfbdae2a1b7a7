//! Signals that end training early.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use vlp::VlpError;

/// Exit code after a second signal.
const INTERRUPTED: i32 = 130;

/// A flag that Ctrl-C and SIGTERM set; a second signal ends the process at once.
pub(super) fn stop_on_signal() -> Result<Arc<AtomicBool>, VlpError> {
    let stop = Arc::new(AtomicBool::new(false));
    let register = |signal| {
        // In this order: the first signal finds the flag unset.
        flag::register_conditional_shutdown(signal, INTERRUPTED, stop.clone())?;
        flag::register(signal, stop.clone())
    };
    for signal in [SIGINT, SIGTERM] {
        register(signal).map_err(|e| VlpError::Config(format!("signal {signal}: {e}")))?;
    }
    Ok(stop)
}
