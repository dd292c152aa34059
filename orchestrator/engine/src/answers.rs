//! What participants answered to read-only commands, remembered by request: for `cache`, and for fallbacks that give an old answer.
//!
//! In memory and of this engine only: what is used of it is recorded in the journal of the saga that used it.

use saga_base::sync::{Mutex, MutexGuard};
use saga_core::{
    command::{Direction, Request},
    decide::Known,
    event::{Decision, Event, Substitute},
    id::StepIndex,
    state::{Plan, State},
    time::Timestamp,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// Answers that are kept: an entry without its answer is some 200 bytes, so that small ones cost a few megabytes.
const MOST_ANSWERS: usize = 10_000;
/// Bytes of all answers, as JSON: what an engine can spare beside the sagas that it works on.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of one answer: a larger one would push out too many others.
const LARGEST_BYTES: usize = 1024 * 1024;

/// A request without its text, which may be personal: SHA-256 of its JSON, whose keys are sorted.
type Key = [u8; 32];

/// Answers by request; the one that was not used for longest goes first.
#[derive(Debug)]
pub(crate) struct Answers(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    by_request: HashMap<Key, Entry>,
    /// By the turn in which it was last used.
    by_use: BTreeMap<u64, Key>,
    turn: u64,
    bytes: usize,
    most: Most,
}

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug)]
struct Most {
    answers: usize,
    bytes: usize,
}

struct Entry {
    at: Timestamp,
    /// As JSON, because a value in memory takes several times its text, and the bound is to hold.
    text: Box<str>,
    used: u64,
}

/// Answers are not for logs.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({} bytes of {:?})", self.text.len(), self.at)
    }
}

impl Default for Answers {
    fn default() -> Answers {
        Answers::bounded(Most { answers: MOST_ANSWERS, bytes: MOST_BYTES })
    }
}

impl Answers {
    fn bounded(most: Most) -> Answers {
        let (by_request, by_use) = (HashMap::new(), BTreeMap::new());
        Answers(Mutex::new(Kept { by_request, by_use, turn: 0, bytes: 0, most }))
    }

    /// The last answer to `request`, if it is remembered.
    pub(crate) fn recall(&self, request: &Request) -> Option<Known> {
        self.kept().recall(&key(request))
    }

    /// Learns from a decision that is committed, and counts what answered in place of participants; `state` is what it led to.
    pub(crate) fn committed(&self, plan: &Plan, state: &State, decision: &Decision) {
        for event in &decision.events {
            match event {
                Event::StepSucceeded { step, direction: Direction::Do, result } => {
                    self.learn(plan, state, *step, decision.at, result);
                }
                Event::StepStarted { step, direction: Direction::Do, .. } => missed(plan, *step),
                Event::StepAnswered { step, by, .. } => stood_in(plan, *step, by),
                Event::StepSucceeded { .. }
                | Event::StepStarted { .. }
                | Event::SagaStarted { .. }
                | Event::WaitStarted { .. }
                | Event::AttemptStarted { .. }
                | Event::AttemptFailed { .. }
                | Event::AttemptExtended { .. }
                | Event::StepWaiting { .. }
                | Event::StepRejected { .. }
                | Event::StepFailed { .. }
                | Event::StepSkipped { .. }
                | Event::ResultArrived { .. }
                | Event::CompensationStarted { .. }
                | Event::SagaOverdue
                | Event::SagaParked { .. }
                | Event::SagaResumed
                | Event::OperatorActed { .. }
                | Event::DefinitionChanged { .. }
                | Event::OutcomeDue { .. }
                | Event::OutcomeWaiting { .. }
                | Event::OutcomeShortened { .. }
                | Event::SagaEnded { .. }
                | Event::IncidentOpened { .. } => {}
            }
        }
    }

    fn learn(&self, plan: &Plan, state: &State, step: StepIndex, at: Timestamp, result: &Value) {
        if !plan.definition.step(step).remembers() {
            return;
        }
        if let Some(request) = &state.step(step).forward.request {
            self.remember(request, at, result);
        }
    }

    fn remember(&self, request: &Request, at: Timestamp, result: &Value) {
        let text = result.to_string().into_boxed_str();
        if text.len() <= LARGEST_BYTES {
            self.kept().remember(key(request), at, text);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock()
    }
}

impl Kept {
    fn recall(&mut self, key: &Key) -> Option<Known> {
        self.turn += 1;
        let entry = self.by_request.get_mut(key)?;
        self.by_use.remove(&entry.used);
        entry.used = self.turn;
        self.by_use.insert(self.turn, *key);
        let result = serde_json::from_str(&entry.text).expect("it is the text of a value");
        Some(Known { at: entry.at, result })
    }

    /// Sagas commit in any order: an older answer does not replace a younger one.
    fn remember(&mut self, key: Key, at: Timestamp, text: Box<str>) {
        if self.by_request.get(&key).is_some_and(|entry| entry.at > at) {
            return;
        }
        self.forget(&key);
        self.turn += 1;
        self.bytes += text.len();
        self.by_use.insert(self.turn, key);
        self.by_request.insert(key, Entry { at, text, used: self.turn });
        while self.by_request.len() > self.most.answers || self.bytes > self.most.bytes {
            let Some((_, oldest)) = self.by_use.first_key_value() else { return };
            let oldest = *oldest;
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.by_request.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.text.len();
        }
    }
}

fn key(request: &Request) -> Key {
    let text = serde_json::to_vec(request).expect("a request has string keys only");
    Sha256::digest(text).into()
}

fn missed(plan: &Plan, step: StepIndex) {
    if plan.definition.step(step).cache.is_some() {
        metrics::counter!("saga_answer_cache_total", "outcome" => "miss").increment(1);
    }
}

fn stood_in(plan: &Plan, step: StepIndex, by: &Substitute) {
    match by {
        Substitute::Cache { .. } => metrics::counter!("saga_answer_cache_total", "outcome" => "hit").increment(1),
        Substitute::Fallback { kind, .. } => {
            let step = plan.definition.step(step);
            let (participant, name) = (step.whom().map(ToString::to_string).unwrap_or_default(), step.name.clone());
            metrics::counter!("saga_fallbacks_total", "participant" => participant, "step" => name, "kind" => kind.code())
                .increment(1);
        }
    }
}

#[cfg(test)]
mod tests;
