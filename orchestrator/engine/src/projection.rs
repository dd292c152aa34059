//! Projections: rows about all sagas that are made of the feed's events, kept in the store.
//!
//! A projection is an implementation of [`EventProjection`] and a line in [`shipped`]. It depends on events alone, so
//! its rows can be made again at any time: a new generation is built beside the live one and then takes its place.

mod advance;
mod archived;
mod durations;
mod in_flight;
mod lookup;
mod outcomes;
mod portion;
mod rebuild;
mod rows;
mod step_changes;
mod view;
mod waiting;
mod worker;

pub use advance::AdvanceError;
pub use archived::{ArchiveFolder, LeftOutArchive, MissingArchives};
pub use lookup::{SAGA_LIST, UnknownProjection};
pub use rebuild::{RebuildError, RebuildProgress, RebuildReport, begin_rebuild, rebuild};
pub use rows::ProjectionRows;
pub use view::{BuildView, ProjectionPage, ProjectionView, page, views};
pub(crate) use worker::ProjectionWorker;

use saga_core::{event::SagaEvent, id::SagaId, id::StepIndex, time::Timestamp};
use std::fmt;

/// How events become rows.
///
/// `apply` is pure: the same events in the same order make the same rows. It reads and writes the rows that `keys`
/// names, and nothing else. The events of one saga come in their order. The order of different sagas must not matter:
/// a rebuild begins with those that are in archives.
pub trait EventProjection: fmt::Debug + Send + Sync {
    /// The name, in camel case.
    fn name(&self) -> &'static str;

    /// Raised with every change of the rules: engines then build the rows anew by themselves.
    fn version(&self) -> u32;

    /// The keys of the rows that [`EventProjection::apply`] reads or writes for this event.
    fn keys(&self, event: &ProjectedEvent<'_>) -> Vec<String>;

    /// Changes rows as the event says.
    fn apply(&self, event: &ProjectedEvent<'_>, rows: &mut ProjectionRows);
}

/// One event, with what is known of its saga.
#[derive(Clone, Copy, Debug)]
pub struct ProjectedEvent<'a> {
    /// The saga.
    pub saga: SagaId,
    /// Name of the saga's definition.
    pub definition: &'a str,
    /// The saga's business key.
    pub key: &'a str,
    /// When the event was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: &'a SagaEvent,
    /// Names of the steps, by position.
    pub steps: &'a [String],
}

impl ProjectedEvent<'_> {
    /// The name of a step; its number where the definition cannot be read.
    #[must_use]
    pub fn step_name(&self, step: StepIndex) -> String {
        self.steps.get(step.at()).cloned().unwrap_or_else(|| format!("#{}", step.0))
    }
}

/// Every projection of this build.
static SHIPPED: [&dyn EventProjection; 4] =
    [&in_flight::StepsInFlight, &durations::StepDurations, &outcomes::OutcomesByHour, &waiting::WaitingByReason];

/// Every projection of this build.
#[must_use]
pub fn shipped() -> &'static [&'static dyn EventProjection] {
    &SHIPPED
}

#[cfg(test)]
mod tests;
