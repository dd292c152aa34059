//! A stack that is deep enough for what the bounds allow, wherever the caller runs.

/// 16 MiB: three times what the deepest expression takes, five times what the deepest YAML takes in a debug build. Only
/// pages that are touched exist.
const DEEP_STACK_BYTES: usize = 16 * 1024 * 1024;

/// The result of `work`, done on a stack of its own, which costs some 30 µs.
///
/// # Errors
/// If the system has no room for another stack.
pub(crate) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|threads| {
        let builder = std::thread::Builder::new().name("deep".into()).stack_size(DEEP_STACK_BYTES);
        let thread = builder.spawn_scoped(threads, work)?;
        Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
