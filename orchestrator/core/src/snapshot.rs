//! The state of a saga as bytes, so that a long journal need not be folded from its first row on.
//!
//! [`crate::state::SagaState`] serialises what is on record and nothing else. [`resumed`] gives the state that a fold
//! of the whole journal gives.

/// Number of the shape of [`crate::state::SagaState`] as bytes. It rises whenever a type changes that the state
/// consists of; a test compares the types with this number. Snapshots of other numbers are not read.
pub const FORMAT: u32 = 3;

pub use crate::evolve::resumed;
