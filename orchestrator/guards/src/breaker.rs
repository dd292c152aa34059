//! The circuit breaker.

mod config;

pub use config::{Config, InvalidConfig, MAX_OPEN_FOR, MAX_PROBES, MAX_WINDOW, MIN_OPEN_FOR, MIN_WINDOW, Settings};
