//! Projections by their names.

use super::{EventProjection, shipped};
use saga_core::definition::or_did_you_mean;

/// No projection has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no projection is called `{name}`{guess}; there are {all}", all = names().join(", "))]
pub struct UnknownProjection {
    name: String,
    guess: String,
}

pub(super) fn find(name: &str) -> Result<&'static dyn EventProjection, UnknownProjection> {
    let found = shipped().iter().find(|rules| rules.name() == name).copied();
    found.ok_or_else(|| UnknownProjection { name: name.to_owned(), guess: or_did_you_mean(name, names()) })
}

/// The names of all projections that can be built.
pub(super) fn names() -> Vec<&'static str> {
    shipped().iter().map(|rules| rules.name()).collect()
}
