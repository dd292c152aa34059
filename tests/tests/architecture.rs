//! The boundaries between packages.

#[path = "architecture/packages.rs"]
mod packages;
