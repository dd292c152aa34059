//! What participants answered to read-only commands, remembered by request: for `cache`, and for fallbacks that give an old answer.
//!
//! In memory and of this engine only: what is used of it is recorded in the journal of the saga that used it.

use saga_core::{
    command::{Direction, Request},
    decide::Known,
    event::{Decision, Event, Substitute},
    id::StepIndex,
    state::{Plan, State},
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

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
    known: Known,
    bytes: usize,
    used: u64,
}

/// Answers are not for logs.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({} bytes of {:?})", self.bytes, self.known.at)
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
                    self.learn(plan, state, *step, &Known { at: decision.at, result: result.clone() });
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
                | Event::AttemptAsked { .. }
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
                | Event::OutcomeDue { .. }
                | Event::SagaEnded { .. }
                | Event::IncidentOpened { .. } => {}
            }
        }
    }

    fn learn(&self, plan: &Plan, state: &State, step: StepIndex, known: &Known) {
        if !plan.definition.step(step).remembers() {
            return;
        }
        if let Some(request) = &state.step(step).forward.request {
            self.remember(request, known);
        }
    }

    fn remember(&self, request: &Request, known: &Known) {
        let bytes = known.result.to_string().len();
        if bytes <= LARGEST_BYTES {
            self.kept().remember(key(request), known.clone(), bytes);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn recall(&mut self, key: &Key) -> Option<Known> {
        self.turn += 1;
        let entry = self.by_request.get_mut(key)?;
        self.by_use.remove(&entry.used);
        entry.used = self.turn;
        self.by_use.insert(self.turn, *key);
        Some(entry.known.clone())
    }

    /// Sagas commit in any order: an older answer does not replace a younger one.
    fn remember(&mut self, key: Key, known: Known, bytes: usize) {
        if self.by_request.get(&key).is_some_and(|entry| entry.known.at > known.at) {
            return;
        }
        self.forget(&key);
        self.turn += 1;
        self.bytes += bytes;
        self.by_use.insert(self.turn, key);
        self.by_request.insert(key, Entry { known, bytes, used: self.turn });
        while self.by_request.len() > self.most.answers || self.bytes > self.most.bytes {
            let Some((_, oldest)) = self.by_use.first_key_value() else { return };
            let oldest = *oldest;
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.by_request.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes;
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
            let (participant, name) = (step.participant().unwrap_or_default().to_owned(), step.name.clone());
            metrics::counter!("saga_fallbacks_total", "participant" => participant, "step" => name, "kind" => kind.code())
                .increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, LARGEST_BYTES, Most};
    use saga_core::{
        command::{Method, Request},
        decide::Known,
        time::Timestamp,
    };
    use serde_json::{Value, json};

    fn of_customer(id: &str) -> Request {
        let path = format!("scores/{id}");
        Request::Http { participant: "risk".into(), method: Method::Get, path, body: None }
    }

    fn known(at: i64, result: Value) -> Known {
        Known { at: Timestamp(at), result }
    }

    fn few() -> Answers {
        Answers::bounded(Most { answers: 2, bytes: 100 })
    }

    #[test]
    fn the_last_answer_to_the_same_request_is_remembered() {
        let answers = few();
        assert_eq!(answers.recall(&of_customer("ada")), None);
        answers.remember(&of_customer("ada"), &known(1, json!(7)));
        answers.remember(&of_customer("ada"), &known(2, json!(8)));
        assert_eq!(answers.recall(&of_customer("ada")), Some(known(2, json!(8))));
        assert_eq!(answers.recall(&of_customer("bob")), None);
    }

    #[test]
    fn an_older_answer_does_not_replace_a_younger_one() {
        let answers = few();
        answers.remember(&of_customer("ada"), &known(2, json!(8)));
        answers.remember(&of_customer("ada"), &known(1, json!(7)));
        assert_eq!(answers.recall(&of_customer("ada")), Some(known(2, json!(8))));
    }

    #[test]
    fn a_request_is_the_same_by_participant_command_path_and_body() {
        let answers = few();
        let body = |text: &str| Some(serde_json::from_str(text).expect("JSON"));
        let look = |participant: &str, body| Request::Http {
            participant: participant.into(),
            method: Method::Get,
            path: "scores".into(),
            body,
        };
        answers.remember(&look("risk", body(r#"{"a": 1, "b": 2}"#)), &known(1, json!(7)));
        assert!(answers.recall(&look("risk", body(r#"{"b": 2, "a": 1}"#))).is_some());
        assert!(answers.recall(&look("risk", body(r#"{"a": 1}"#))).is_none());
        assert!(answers.recall(&look("bank", body(r#"{"a": 1, "b": 2}"#))).is_none());
        assert!(answers.recall(&look("risk", None)).is_none());
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let answers = few();
        answers.remember(&of_customer("ada"), &known(1, json!(1)));
        answers.remember(&of_customer("bob"), &known(2, json!(2)));
        answers.recall(&of_customer("ada"));
        answers.remember(&of_customer("eve"), &known(3, json!(3)));
        assert!(answers.recall(&of_customer("bob")).is_none());
        assert!(answers.recall(&of_customer("ada")).is_some());
        assert!(answers.recall(&of_customer("eve")).is_some());
    }

    #[test]
    fn answers_are_bounded_by_their_bytes_together_and_each() {
        let answers = few();
        let sixty = json!("x".repeat(58));
        answers.remember(&of_customer("ada"), &known(1, sixty.clone()));
        answers.remember(&of_customer("bob"), &known(2, sixty));
        assert!(answers.recall(&of_customer("ada")).is_none());
        assert_eq!(answers.kept().bytes, 60);
        answers.remember(&of_customer("bob"), &known(3, json!("x".repeat(LARGEST_BYTES))));
        assert_eq!(answers.recall(&of_customer("bob")).map(|known| known.at), Some(Timestamp(2)));
    }

    #[test]
    fn answers_are_not_printed() {
        let answers = few();
        answers.remember(&of_customer("ada"), &known(1, json!({"iban": "DE02"})));
        let printed = format!("{answers:?}");
        assert!(!printed.contains("DE02") && !printed.contains("ada"), "{printed}");
    }
}
