//! The lock behind everything that several tasks share here and that is synchronised by hand.
//!
//! It is `std`'s. Unit tests put shuttle's before it, which decides who goes next, so that the code as it is runs through many schedules
//! ([`simulated`]); what tokio brings (bells, channels, timers) is left as it is, and tested upstream.

#[cfg(test)]
pub(crate) mod simulated;

use std::sync::PoisonError;

#[cfg(not(test))]
pub(crate) use std::sync::MutexGuard;

#[cfg(test)]
pub(crate) use simulated::MutexGuard;

/// A lock that outlives a panic of whoever holds it: what it guards has to be consistent between any two of its own methods.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T> {
    #[cfg(test)]
    turn: simulated::Turn,
    guarded: std::sync::Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(guarded: T) -> Mutex<T> {
        Mutex {
            #[cfg(test)]
            turn: simulated::Turn::default(),
            guarded: std::sync::Mutex::new(guarded),
        }
    }

    #[cfg(not(test))]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let turn = self.turn.wait();
        MutexGuard::new(self.guarded.lock().unwrap_or_else(PoisonError::into_inner), turn)
    }
}
