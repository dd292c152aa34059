//! What a shard's task does, without an engine around it.

mod decisions;
mod fixture;
mod herd;
