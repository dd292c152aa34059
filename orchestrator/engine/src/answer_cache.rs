//! What participants answered to read-only commands, remembered by request: for `cache`, and for fallbacks that give an
//! old answer.
//!
//! In memory and of this engine only: what is used of it is recorded in the journal of the saga that used it.

use saga_base::sync::{MutexGuard, UnpoisonedMutex};
use saga_core::{
    command::{CommandDirection, CommandRequest},
    decide::PreviousAnswer,
    event::{OperatorAction, SagaDecision, SagaEvent, SubstituteAnswer},
    id::StepIndex,
    state::{SagaPlan, SagaState},
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
type RequestHash = [u8; 32];

/// Answers by request; the one that was not used for longest goes first.
#[derive(Debug)]
pub(crate) struct AnswerCache(UnpoisonedMutex<AnswerCacheState>);

#[derive(Debug)]
struct AnswerCacheState {
    by_request: HashMap<RequestHash, CachedAnswer>,
    /// By the turn in which it was last used.
    by_use: BTreeMap<u64, RequestHash>,
    turn: u64,
    bytes: usize,
    most: AnswerCacheLimits,
}

/// The most answers, and the most bytes of answers, that the cache keeps.
#[derive(Clone, Copy, Debug)]
struct AnswerCacheLimits {
    answers: usize,
    bytes: usize,
}

struct CachedAnswer {
    at: Timestamp,
    /// As JSON, because a value in memory takes several times its text, and the bound is to hold.
    text: Box<str>,
    used: u64,
}

/// Shows the answer's size only: answers do not belong in logs.
impl std::fmt::Debug for CachedAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({} bytes of {:?})", self.text.len(), self.at)
    }
}

impl Default for AnswerCache {
    fn default() -> AnswerCache {
        AnswerCache::bounded(AnswerCacheLimits { answers: MOST_ANSWERS, bytes: MOST_BYTES })
    }
}

impl AnswerCache {
    fn bounded(most: AnswerCacheLimits) -> AnswerCache {
        let (by_request, by_use) = (HashMap::new(), BTreeMap::new());
        AnswerCache(UnpoisonedMutex::new(AnswerCacheState { by_request, by_use, turn: 0, bytes: 0, most }))
    }

    /// The last answer to `request`, if it is remembered.
    pub(crate) fn get(&self, request: &CommandRequest) -> Option<PreviousAnswer> {
        self.kept().get(&key(request))
    }

    /// Learns from a decision that is committed, and counts what answered in place of participants; `state` is what it
    /// led to.
    pub(crate) fn committed(&self, plan: &SagaPlan, state: &SagaState, decision: &SagaDecision) {
        for event in &decision.events {
            match event {
                SagaEvent::StepSucceeded { step, direction: CommandDirection::Do, result } => {
                    self.learn(plan, state, *step, decision.at, result);
                }
                SagaEvent::StepStarted { step, direction: CommandDirection::Do, .. } => missed(plan, *step),
                SagaEvent::StepAnswered { step, by, .. } => count_substitute(plan, *step, by),
                SagaEvent::OperatorActed { action: OperatorAction::Erase, .. } => self.forget_erased(state),
                SagaEvent::StepSucceeded { .. }
                | SagaEvent::StepStarted { .. }
                | SagaEvent::SagaStarted { .. }
                | SagaEvent::StepTakenOver { .. }
                | SagaEvent::WaitStarted { .. }
                | SagaEvent::AttemptStarted { .. }
                | SagaEvent::AttemptFailed { .. }
                | SagaEvent::AttemptExtended { .. }
                | SagaEvent::StepWaiting { .. }
                | SagaEvent::StepRejected { .. }
                | SagaEvent::StepFailed { .. }
                | SagaEvent::StepSkipped { .. }
                | SagaEvent::ResultArrived { .. }
                | SagaEvent::CompensationStarted { .. }
                | SagaEvent::SagaOverdue
                | SagaEvent::SagaParked { .. }
                | SagaEvent::SagaResumed
                | SagaEvent::OperatorActed { .. }
                | SagaEvent::DefinitionChanged { .. }
                | SagaEvent::OutcomeDue { .. }
                | SagaEvent::OutcomeWaiting { .. }
                | SagaEvent::OutcomeShortened { .. }
                | SagaEvent::SagaEnded { .. }
                | SagaEvent::IncidentOpened { .. } => {}
            }
        }
    }

    /// The answers to what an erased saga asked.
    fn forget_erased(&self, state: &SagaState) {
        for request in state.steps.iter().filter_map(|step| step.forward.request.as_ref()) {
            self.kept().forget(&key(request));
        }
    }

    fn learn(&self, plan: &SagaPlan, state: &SagaState, step: StepIndex, at: Timestamp, result: &Value) {
        if !plan.definition.step(step).remembers() {
            return;
        }
        if let Some(request) = &state.step(step).forward.request {
            self.insert(request, at, result);
        }
    }

    fn insert(&self, request: &CommandRequest, at: Timestamp, result: &Value) {
        let text = result.to_string().into_boxed_str();
        if text.len() <= LARGEST_BYTES {
            self.kept().insert(key(request), at, text);
        }
    }

    fn kept(&self) -> MutexGuard<'_, AnswerCacheState> {
        self.0.lock()
    }
}

impl AnswerCacheState {
    fn get(&mut self, key: &RequestHash) -> Option<PreviousAnswer> {
        self.turn += 1;
        let entry = self.by_request.get_mut(key)?;
        self.by_use.remove(&entry.used);
        entry.used = self.turn;
        self.by_use.insert(self.turn, *key);
        let result = serde_json::from_str(&entry.text).expect("it is the text of a value");
        Some(PreviousAnswer { at: entry.at, result })
    }

    /// Sagas commit in any order: an older answer does not replace a younger one.
    fn insert(&mut self, key: RequestHash, at: Timestamp, text: Box<str>) {
        if self.by_request.get(&key).is_some_and(|entry| entry.at > at) {
            return;
        }
        self.forget(&key);
        self.turn += 1;
        self.bytes += text.len();
        self.by_use.insert(self.turn, key);
        self.by_request.insert(key, CachedAnswer { at, text, used: self.turn });
        while self.by_request.len() > self.most.answers || self.bytes > self.most.bytes {
            let Some((_, oldest)) = self.by_use.first_key_value() else { return };
            let oldest = *oldest;
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &RequestHash) {
        if let Some(entry) = self.by_request.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.text.len();
        }
    }
}

fn key(request: &CommandRequest) -> RequestHash {
    let text = serde_json::to_vec(request).expect("a request has string keys only");
    Sha256::digest(text).into()
}

fn missed(plan: &SagaPlan, step: StepIndex) {
    if plan.definition.step(step).cache.is_some() {
        metrics::counter!("saga_answer_cache_total", "outcome" => "miss").increment(1);
    }
}

fn count_substitute(plan: &SagaPlan, step: StepIndex, by: &SubstituteAnswer) {
    match by {
        SubstituteAnswer::Cache { .. } => metrics::counter!("saga_answer_cache_total", "outcome" => "hit").increment(1),
        SubstituteAnswer::Fallback { kind, .. } => {
            let step = plan.definition.step(step);
            let (participant, name) = (step.whom().map(ToString::to_string).unwrap_or_default(), step.name.clone());
            let labels = [("participant", participant), ("step", name), ("kind", kind.code().to_owned())];
            metrics::counter!("saga_fallbacks_total", &labels).increment(1);
        }
    }
}

#[cfg(test)]
mod tests;
