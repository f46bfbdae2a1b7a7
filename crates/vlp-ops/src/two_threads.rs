//! Two closures at the same time.

/// Runs each closure on a thread of its own.
pub(crate) fn run_on_two_threads<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = scope.spawn(second);
        let (first, second) = (first.join(), second.join());
        (
            first.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            second.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    })
}
