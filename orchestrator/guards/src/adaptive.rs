//! The adaptive limit: how many calls a participant takes at once, found out from how long it takes to answer.

mod config;

pub use config::{Config, ConfigError};
