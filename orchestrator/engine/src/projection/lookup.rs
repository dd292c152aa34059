//! Projections by their names.

use super::{EventProjection, shipped};
use saga_core::definition::or_did_you_mean;

/// The list of sagas. It is shown with the projections, and is none: its rows are written with each append.
pub const SAGA_LIST: &str = "sagas";

/// No projection that is made of the feed has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownProjection {
    /// Nothing is called so.
    #[error("no projection is called `{name}`{guess}; there are {SAGA_LIST}, {all}", all = names().join(", "))]
    NoSuchName {
        /// The name.
        name: String,
        /// Which one may be meant.
        guess: String,
    },
    /// The list of sagas, whose rows are shown and repaired otherwise.
    #[error(
        "`{SAGA_LIST}` is the list of sagas, which is written with each append: `saga list` and GET /api/sagas show its rows, \
         `saga replay rebuild {SAGA_LIST}` repairs them"
    )]
    SagaList,
}

pub(super) fn find(name: &str) -> Result<&'static dyn EventProjection, UnknownProjection> {
    if name == SAGA_LIST {
        return Err(UnknownProjection::SagaList);
    }
    let all = names().into_iter().chain([SAGA_LIST]);
    let unknown = || UnknownProjection::NoSuchName { name: name.to_owned(), guess: or_did_you_mean(name, all) };
    shipped().iter().find(|rules| rules.name() == name).copied().ok_or_else(unknown)
}

/// The names of all projections that can be built.
pub(super) fn names() -> Vec<&'static str> {
    shipped().iter().map(|rules| rules.name()).collect()
}
