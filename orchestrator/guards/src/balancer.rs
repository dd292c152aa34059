//! Which of a participant's endpoints takes a call, and which of them are left out for a while.

mod config;

pub use config::{Ejection, Strategy};
