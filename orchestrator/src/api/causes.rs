//! What holds sagas up: groups of them with one cause.

use super::census::Figures;
use saga_core::state::Status;
use saga_engine::journal::{
    counts::{By, Group, count},
    reading::Wanted,
};
use saga_event_store::{Error, EventStore};

/// Open sagas that are not simply on their way, by what they have in common; the most first.
#[derive(Debug)]
pub(crate) struct Causes(pub(super) Vec<Group>);

impl Figures for Causes {
    async fn count(store: &dyn EventStore, _: Option<&Causes>) -> Result<Causes, Error> {
        let statuses = vec![Status::Parked, Status::Waiting, Status::Compensating];
        let by = [By::Status, By::Saga, By::Step, By::Code, By::WaitingOn];
        count(store, &Wanted { statuses, ..Wanted::default() }, &by).await.map(Causes)
    }
}
