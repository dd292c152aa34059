//! Recorded sagas by a changed definition. Nothing is sent and nothing is written.

use super::{
    page_pipeline,
    scan::{SagaScan, ScanProgress, ScannedSaga},
};
use crate::journal::{
    self, JournalError, PlanCache,
    shown::{unreadable, unreadable_at_end},
};
use futures_util::StreamExt;
use saga_core::{
    event::SagaEvent,
    id::SagaId,
    input::SagaStart,
    state::{SagaPlan, SagaStatus},
    time::Timestamp,
    what_if::{self, AssumedAnswers, CommandName, WhatIfResult},
};
use saga_event_store::{JournalReader, StoreError, StreamRow, StreamSummary};
use saga_wire::trigger::{self, TriggerOutcome};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use uuid::Uuid;

/// Which sagas are run by which definition.
#[derive(Clone, Debug)]
pub struct WhatIfRequest {
    /// The definition and its policies. Sagas of the definition of this name are run by it.
    pub plan: Arc<SagaPlan>,
    /// Sagas that started then or later; `None`: all.
    pub since: Option<Timestamp>,
    /// The most sagas, the oldest first; `None`: all.
    pub limit: Option<u64>,
    /// Only the sagas with this key.
    pub key: Option<String>,
    /// Answers that count where none is on record.
    pub assumed: AssumedAnswers,
}

/// What became of one saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WhatIfVerdict {
    /// It ends in the same way and makes the same calls.
    Same,
    /// It ends in the same way and makes other calls.
    OtherCalls,
    /// It ends in another way.
    OtherEnd,
    /// The definition would not have started it.
    NotStarted,
    /// What it needs was never answered.
    Undecided,
    /// It has not ended yet.
    Open,
    /// An operator has erased what it was given and answered.
    Erased,
    /// Its journal cannot be read.
    Unreadable,
}

impl WhatIfVerdict {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            WhatIfVerdict::Same => "the same",
            WhatIfVerdict::OtherCalls => "other calls",
            WhatIfVerdict::OtherEnd => "other end",
            WhatIfVerdict::NotStarted => "not started",
            WhatIfVerdict::Undecided => "undecided",
            WhatIfVerdict::Open => "still open",
            WhatIfVerdict::Erased => "erased",
            WhatIfVerdict::Unreadable => "unreadable",
        }
    }

    /// Whether the definition changes what the saga does.
    #[must_use]
    pub fn is_difference(self) -> bool {
        match self {
            WhatIfVerdict::OtherCalls | WhatIfVerdict::OtherEnd | WhatIfVerdict::NotStarted => true,
            WhatIfVerdict::Same
            | WhatIfVerdict::Undecided
            | WhatIfVerdict::Open
            | WhatIfVerdict::Erased
            | WhatIfVerdict::Unreadable => false,
        }
    }
}

/// One saga by the other definition.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhatIfLine {
    /// The saga's id.
    pub id: String,
    /// Its business key.
    pub key: String,
    /// What became of it.
    pub verdict: WhatIfVerdict,
    /// How it ended, or is now.
    pub recorded: String,
    /// How it ends by the other definition, as far as it can be told; `None`: it does not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated: Option<String>,
    /// The first command that ends otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts_at: Option<String>,
    /// Commands that only the other definition sends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added_calls: Vec<String>,
    /// Commands that only the recorded saga sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_calls: Vec<String>,
    /// Commands that both send, with another request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed_calls: Vec<String>,
    /// Why nothing more can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of all sagas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhatIfReport {
    /// Sagas that were run.
    pub sagas: u64,
    /// How many of each verdict.
    pub verdicts: BTreeMap<WhatIfVerdict, u64>,
    /// How they end now and by the other definition, where that differs, with where they part.
    pub other_ends: Vec<CountedChange>,
    /// Commands that only the other definition sends.
    pub added_calls: BTreeMap<String, u64>,
    /// Commands that only the recorded sagas sent.
    pub missing_calls: BTreeMap<String, u64>,
    /// Commands that both send, with another request.
    pub changed_calls: BTreeMap<String, u64>,
    /// Why sagas are undecided, not started or unreadable.
    pub reasons: BTreeMap<String, u64>,
}

/// Sagas that end otherwise in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CountedChange {
    /// How they ended.
    pub recorded: String,
    /// How they end by the other definition.
    pub simulated: String,
    /// The first command that ends otherwise.
    pub parts_at: Option<String>,
    /// How many sagas.
    pub sagas: u64,
    /// The key of one of them.
    pub example: String,
}

/// What a run tells while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum WhatIfEvent {
    /// One saga.
    Saga(Box<WhatIfLine>),
    /// How far it is.
    Progress(ScanProgress),
}

/// Runs the recorded sagas, several pages at once for as many cores as `workers`. `tell` gets every saga, and after
/// each page how far the run is.
///
/// # Errors
/// When the store does not answer.
pub async fn what_if(
    store: Arc<dyn JournalReader>,
    wanted: WhatIfRequest,
    workers: usize,
    mut tell: impl FnMut(WhatIfEvent),
) -> Result<WhatIfReport, StoreError> {
    let simulator = Arc::new(PageSimulator { store: Arc::clone(&store), plans: PlanCache::default(), wanted });
    let scan = SagaScan::new(store, simulator.wanted.since);
    let simulated = page_pipeline::processed(scan, workers, |page| {
        let simulator = Arc::clone(&simulator);
        async move { simulator.simulated(page).await }
    });
    let mut simulated = std::pin::pin!(simulated);
    let most = simulator.wanted.limit.unwrap_or(u64::MAX);
    let mut report = WhatIfReport::default();
    let mut meter = super::scan::ScanMeter::default();
    while let Some(page) = simulated.next().await {
        let page = page?;
        for line in page.lines {
            if report.sagas < most {
                report.add(&line);
                tell(WhatIfEvent::Saga(Box::new(line)));
            }
        }
        tell(WhatIfEvent::Progress(meter.page(page.looked_at, page.events, page.ids)));
        if report.sagas >= most {
            break;
        }
    }
    Ok(report)
}

impl WhatIfReport {
    fn add(&mut self, line: &WhatIfLine) {
        self.sagas += 1;
        *self.verdicts.entry(line.verdict).or_default() += 1;
        let calls = [
            (&mut self.added_calls, &line.added_calls),
            (&mut self.missing_calls, &line.missing_calls),
            (&mut self.changed_calls, &line.changed_calls),
        ];
        for (counts, names) in calls {
            names.iter().for_each(|name| *counts.entry(name.clone()).or_default() += 1);
        }
        line.reason.iter().for_each(|reason| *self.reasons.entry(reason.clone()).or_default() += 1);
        if line.verdict == WhatIfVerdict::OtherEnd {
            self.add_end(line);
        }
    }

    fn add_end(&mut self, line: &WhatIfLine) {
        let simulated = line.simulated.clone().unwrap_or_default();
        let is_it = |it: &&mut CountedChange| {
            (&it.recorded, &it.simulated, &it.parts_at) == (&line.recorded, &simulated, &line.parts_at)
        };
        match self.other_ends.iter_mut().find(is_it) {
            Some(known) => known.sagas += 1,
            None => self.other_ends.push(CountedChange {
                recorded: line.recorded.clone(),
                simulated,
                parts_at: line.parts_at.clone(),
                sagas: 1,
                example: line.key.clone(),
            }),
        }
    }
}

struct SimulatedPage {
    lines: Vec<WhatIfLine>,
    looked_at: u64,
    events: u64,
    /// The first and the last saga of the page.
    ids: Option<(SagaId, SagaId)>,
}

struct PageSimulator {
    store: Arc<dyn JournalReader>,
    plans: PlanCache,
    wanted: WhatIfRequest,
}

impl PageSimulator {
    async fn simulated(&self, page: Vec<ScannedSaga>) -> Result<SimulatedPage, StoreError> {
        let ids = page.first().zip(page.last()).map(|(first, last)| (first.saga, last.saga));
        let streams: Vec<Uuid> = page.iter().map(|it| it.saga.uuid()).collect();
        let shown = self.store.summaries(&streams).await?;
        let shown: HashMap<Uuid, StreamSummary> = shown.into_iter().map(|it| (it.stream, it)).collect();
        let mut simulated = SimulatedPage { lines: Vec::new(), looked_at: page.len() as u64, events: 0, ids };
        for ScannedSaga { saga, rows } in page {
            let Some(shown) = shown.get(&saga.uuid()).filter(|shown| self.is_wanted(shown)) else { continue };
            let line = match self.line(saga, rows, &mut simulated.events).await {
                Ok(line) => line,
                Err(JournalError::Store(error)) if error.is_transient() => return Err(error),
                Err(error) => unread(saga, shown, &error),
            };
            simulated.lines.push(line);
        }
        Ok(simulated)
    }

    fn is_wanted(&self, shown: &StreamSummary) -> bool {
        let WhatIfRequest { plan, key, .. } = &self.wanted;
        shown.category == plan.definition.name && key.as_ref().is_none_or(|key| shown.key == *key)
    }

    async fn line(
        &self,
        saga: SagaId,
        rows: Result<Vec<StreamRow>, StoreError>,
        events: &mut u64,
    ) -> Result<WhatIfLine, JournalError> {
        let rows = rows.map_err(|error| JournalError::of(saga, error))?;
        let recorded = journal::fold(self.store.as_ref(), &self.plans, saga, rows).await?;
        *events += recorded.decisions.iter().map(|decision| decision.events.len() as u64).sum::<u64>();
        let WhatIfRequest { plan, assumed, .. } = &self.wanted;
        let state = &recorded.state;
        let status = told(state.status(), state.stands().code.as_deref());
        let line = |verdict, reason: Option<String>| WhatIfLine {
            id: saga.to_string(),
            key: state.key.clone(),
            verdict,
            recorded: status.clone(),
            simulated: None,
            parts_at: None,
            added_calls: Vec::new(),
            missing_calls: Vec::new(),
            changed_calls: Vec::new(),
            reason,
        };
        if state.erased.is_some() {
            return Ok(line(WhatIfVerdict::Erased, None));
        }
        let start = match self.start(&recorded.decisions[0].events) {
            Ok(start) => start,
            Err(reason) => return Ok(line(WhatIfVerdict::NotStarted, Some(reason))),
        };
        let parts = (recorded.plan.as_ref(), state, recorded.decisions.as_slice());
        let result = journal::guarded(saga, || Ok(what_if::what_if(plan, start, parts, assumed)))?;
        let verdict = verdict(&result);
        let names = |names: Vec<CommandName>| names.iter().map(ToString::to_string).collect();
        let simulated = &result.simulated;
        Ok(WhatIfLine {
            simulated: Some(told(simulated.status, simulated.code.as_deref())),
            parts_at: result.parts_at().map(|it| it.to_string()),
            added_calls: names(result.added_calls()),
            missing_calls: if result.undecided.is_some() { Vec::new() } else { names(result.missing_calls()) },
            changed_calls: names(result.changed_calls()),
            ..line(verdict, result.undecided.as_ref().map(undecided))
        })
    }

    /// What the recorded trigger is to the definition.
    fn start(&self, events: &[SagaEvent]) -> Result<SagaStart, String> {
        let Some(SagaEvent::SagaStarted { trigger, traceparent, key, .. }) = events.first() else {
            return Err("the journal does not begin with a start".to_owned());
        };
        let definition = &self.wanted.plan.definition;
        match trigger::evaluate_recorded(trigger, traceparent.as_deref(), definition) {
            TriggerOutcome::Start(start) if start.key == *key => Ok(*start),
            TriggerOutcome::Start(_) => Err("its key would be another one".to_owned()),
            TriggerOutcome::Unwanted | TriggerOutcome::Replayed => {
                Err("the trigger does not want its event".to_owned())
            }
            TriggerOutcome::Poison(poison) => Err(format!("its event is a dead letter: {}", poison.code.as_str())),
        }
    }
}

fn verdict(result: &WhatIfResult) -> WhatIfVerdict {
    let is_open = |status: SagaStatus| !status.is_terminal() && status != SagaStatus::Parked;
    if is_open(result.recorded.status) {
        WhatIfVerdict::Open
    } else if result.undecided.is_some() {
        WhatIfVerdict::Undecided
    } else if !result.ends_alike() {
        WhatIfVerdict::OtherEnd
    } else if result.recorded.calls == result.simulated.calls {
        WhatIfVerdict::Same
    } else {
        WhatIfVerdict::OtherCalls
    }
}

fn undecided(undecided: &what_if::UndecidedReason) -> String {
    match &undecided.command {
        Some(command) => format!("{command}: {}", undecided.reason),
        None => undecided.reason.clone(),
    }
}

fn told(status: SagaStatus, code: Option<&str>) -> String {
    code.map_or_else(|| status.to_string(), |code| format!("{status} ({code})"))
}

fn unread(saga: SagaId, shown: &StreamSummary, error: &JournalError) -> WhatIfLine {
    let is_erased = shown.erased_at_ms.is_some();
    let is_open = !shown.status.parse().is_ok_and(|status: SagaStatus| status.is_terminal());
    WhatIfLine {
        id: saga.to_string(),
        key: shown.key.clone(),
        verdict: if is_erased { WhatIfVerdict::Erased } else { WhatIfVerdict::Unreadable },
        recorded: shown.status.clone(),
        simulated: None,
        parts_at: None,
        added_calls: Vec::new(),
        missing_calls: Vec::new(),
        changed_calls: Vec::new(),
        reason: (!is_erased).then(|| if is_open { unreadable(error) } else { unreadable_at_end(error) }),
    }
}
