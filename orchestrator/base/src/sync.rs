//! The lock behind everything that several tasks share here and that is synchronised by hand.
//!
//! It is `std`'s. Unit tests put shuttle's before it, which decides who goes next, so that the code as it is runs
//! through many schedules ([`simulated`]); what tokio brings (bells, channels, timers) is left as it is, and tested
//! upstream.

#[cfg(feature = "simulated")]
pub mod simulated;

use std::sync::PoisonError;

#[cfg(not(feature = "simulated"))]
pub use std::sync::MutexGuard;

#[cfg(feature = "simulated")]
pub use simulated::MutexGuard;

/// A lock that survives a panic of its holder. What it guards has to be consistent between any two of its own methods.
#[derive(Debug, Default)]
pub struct UnpoisonedMutex<T> {
    #[cfg(feature = "simulated")]
    turn: simulated::ScheduleTurn,
    guarded: std::sync::Mutex<T>,
}

impl<T> UnpoisonedMutex<T> {
    /// A lock around `guarded`.
    pub fn new(guarded: T) -> UnpoisonedMutex<T> {
        UnpoisonedMutex {
            #[cfg(feature = "simulated")]
            turn: simulated::ScheduleTurn::default(),
            guarded: std::sync::Mutex::new(guarded),
        }
    }

    #[cfg(not(feature = "simulated"))]
    /// Waits for the lock. It is released when the guard is dropped.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(feature = "simulated")]
    /// Waits for the lock. It is released when the guard is dropped.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let turn = self.turn.wait();
        MutexGuard::new(self.guarded.lock().unwrap_or_else(PoisonError::into_inner), turn)
    }
}
