//! A panic in one saga must not end others.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What `act` returns, or the message of its panic. After a panic, what `act` has changed is in an unknown state: drop
/// it.
pub fn caught<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|panic| format!("panicked: {}", message(panic.as_ref())))
}

/// The text of a panic.
#[must_use]
pub fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_says_is_kept() {
        let number = 7;
        assert_eq!(caught(|| number), Ok(7));
        assert_eq!(caught(|| -> u8 { panic!("no {number}") }), Err("panicked: no 7".into()));
        assert_eq!(caught(|| -> u8 { panic!("nothing") }), Err("panicked: nothing".into()));
    }
}
