//! Advice on timeouts, retries, bulkheads, rate limits and breakers, and forecasts of failures, from what journals
//! tell. Reading is in `past_reading`; everything else is pure, and time is an argument.
//!
//! | module | does |
//! |---|---|
//! | `journal_observer` | one journal → what it tells of each command and participant |
//! | `observed`, `series`, `latency` | adds that up, in bounded memory |
//! | `present` | the settings in effect, and where they are written |
//! | `rules` | which of them should change, and from what evidence |
//! | `forecast`, `backtest` | which participant is about to fail, and how often such forecasts came true |
//! | `yaml_patch`, `report` | what is said of it |

mod backtest;
mod forecast;
mod journal_observer;
mod latency;
mod observed;
mod past_reading;
mod present;
mod report;
mod rules;
mod series;
mod setting;
#[cfg(test)]
mod tests;
mod verdict;
mod yaml_patch;

pub use backtest::{BacktestResult, ForecastRecord};
pub use forecast::ForecastMeasure;
pub use observed::SkippedJournal;
pub use present::{GivenDefinition, GivenParticipants};
pub use report::{
    AdviceReport, AdviceSelection, ObservedLine, OpeningLine, OutageLine, OutlookWord, ParticipantForecast,
    ParticipantTrouble, ReadPast, SettingAdvice, StayReason, UnchangedSetting,
};
pub use setting::{SettingKey, SettingScope};
pub use verdict::AdviceConfidence;
pub use yaml_patch::YamlPatch;

use crate::{
    journal::{PlanCache, PlanError},
    replay::ScanProgress,
};
use observed::ObservedPast;
use present::PresentSettings;
use saga_core::time::Timestamp;
use saga_event_store::{JournalReader, StoreError};
use std::{num::NonZeroU32, sync::Arc};

/// What advice is asked for.
#[derive(Clone, Debug)]
pub struct AdviceRequest {
    /// Only sagas that started then or later are read; `None`: all.
    pub since: Option<Timestamp>,
    /// Which part of what is found is wanted.
    pub wanted: AdviceSelection,
    /// How many engines share the load: bulkheads and rate limits are for each.
    pub engines: NonZeroU32,
    /// The participants as they are configured now; without them nothing is said of guards.
    pub participants: Option<GivenParticipants>,
    /// The definitions as they are configured now; of others counts what the newest saga runs by.
    pub definitions: Vec<GivenDefinition>,
    /// The present, for forecasts.
    pub now: Timestamp,
}

/// Reads all journals, several pages at once for as many cores as `workers`, and says what follows from them. `tell`
/// gets how far the reading is.
///
/// # Errors
/// When the store does not answer.
pub async fn advise(
    store: Arc<dyn JournalReader>,
    request: AdviceRequest,
    workers: usize,
    tell: impl FnMut(ScanProgress),
) -> Result<AdviceReport, StoreError> {
    let past = past_reading::observe(Arc::clone(&store), request.since, workers, tell).await?;
    let AdviceRequest { wanted, engines, participants, definitions, now, .. } = request;
    let mut present = PresentSettings { participants, ..PresentSettings::default() };
    let notes = take_newest(store.as_ref(), &past, &mut present).await?;
    definitions.into_iter().for_each(|given| present.add_given(given));
    let judged = rules::judged(&past, &present, engines);
    Ok(report::report(&past, &present, judged, &wanted, (now, notes)))
}

/// Takes what new sagas of each definition run by; what cannot be read is a note.
async fn take_newest(
    store: &dyn JournalReader,
    past: &ObservedPast,
    present: &mut PresentSettings,
) -> Result<Vec<String>, StoreError> {
    let plans = PlanCache::default();
    let mut notes = Vec::new();
    for (name, (_, definition, policies)) in &past.newest {
        match plans.exactly(store, definition, policies).await {
            Ok(plan) => present.add(&plan),
            Err(PlanError::Store(error)) if error.is_transient() => return Err(error),
            Err(error) => notes.push(format!("definition {name} cannot be read, its settings are not judged: {error}")),
        }
    }
    if present.participants.is_none() {
        notes.push("no participants.yaml was given: bulkheads, rate limits and breakers are not judged".to_owned());
    }
    Ok(notes)
}
