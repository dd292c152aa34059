//! Whether a participant is well by its own word: health checks, counted, and their trend over time.

mod config;

pub use config::Config;
