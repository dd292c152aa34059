//! The boundaries between packages, the arrows between modules within one, and the names of types.

#[path = "architecture/crate_sources.rs"]
mod crate_sources;
#[path = "architecture/modules.rs"]
mod modules;
#[path = "architecture/names.rs"]
mod names;
#[path = "architecture/packages.rs"]
mod packages;
