//! What the engine and its participants share on the wire: the [`command_id`] of every command, the [`headers`] of
//! records and requests, and the words of a [`reply_outcome`].
//!
//! These are the product's promise to services in every language: docs/participants-reference.md has them in prose. A
//! name here never changes.

pub mod command_id;
pub mod headers;
pub mod reply_outcome;

pub use command_id::{CommandDirection, CommandIdError, CommandIdentity, idempotency_uuid};
pub use reply_outcome::ReplyOutcome;
