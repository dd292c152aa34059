//! Reads the event store as a product of its own: every journal, in order, without sending anything.

pub mod audit;
mod kept_snapshot;
pub(crate) mod page_pipeline;
pub mod publish;
mod read_model;
pub mod repair;
pub(crate) mod scan;
pub mod verify;
pub mod what_if;

pub use scan::ScanProgress;

#[cfg(test)]
mod tests;
