//! The guards before every participant: a breaker that is asked while a decision is made, a bulkhead that is entered before a call
//! leaves, and the breaker's verdict when it has come back.
//!
//! What a guard refuses is no attempt. Nothing in the chain allocates, and each stage reads the clock once.

pub mod acts;
mod bulkhead;
mod capability;
pub mod changes;
pub mod health;
pub mod lifecycle;
pub mod metrics;
mod permit;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;

pub use crate::participants::{Call, Dispatch};
pub use bulkhead::{Full, Slot};
pub use permit::{Permit, Seat, Verdict};
pub use settings::{Error, ParticipantSettings, Transport};
pub use snapshot::{BreakerState, ParticipantSnapshot};

use crate::participants::http::{self, HttpParticipant, NOT_CONNECTED};
use acts::Override;
use bulkhead::Bulkhead;
use changes::Changes;
use health::{HealthChecks, Question};
use permit::Health;
use saga_core::{
    command::{Answer, Guard},
    definition::participants::{self, Participants},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tracing::warn;

/// When a command to a participant that is configured for another transport is offered again.
const UNKNOWN_REST: Duration = Duration::from_secs(5);

/// When a command that a full bulkhead refused is offered again.
pub const BULKHEAD_REST: Duration = Duration::from_secs(1);

/// Names of unknown participants that are remembered so that each is logged once; more are not told apart.
const MAX_UNKNOWN: usize = 1_000;

/// All participants and their guards.
#[derive(Debug)]
pub struct Guarded {
    participants: HashMap<String, Participant>,
    unknown: Mutex<BTreeSet<String>>,
    checks: HealthChecks,
    changes: Changes,
}

/// What the breaker says to a call that is about to be decided.
#[derive(Debug)]
pub enum Admission {
    /// It may leave, after the commit.
    Admitted(Permit),
    /// It may not.
    Refused {
        /// Who refuses.
        guard: Guard,
        /// When to ask again, from now.
        not_before: Duration,
    },
    /// Nobody of that name is configured.
    Gone,
}

#[derive(Debug)]
struct Participant {
    health: Arc<Health>,
    capabilities: BTreeSet<String>,
    route: Route,
}

/// How a participant is reached.
#[derive(Debug)]
enum Route {
    Http { participant: Box<HttpParticipant>, bulkhead: Bulkhead },
    Kafka { commands: String, bulkhead: Bulkhead },
}

impl Guarded {
    /// Guards for these participants, all healthy. Connects to none of them.
    ///
    /// # Errors
    /// When one cannot be called with its settings, or two have one name.
    pub fn new(settings: Vec<ParticipantSettings>) -> Result<Guarded, Error> {
        let (mut participants, changes) = (HashMap::new(), Changes::default());
        let checks = HealthChecks::default();
        for each in settings {
            let health = Arc::new(Health::new(each.name.clone(), each.breaker, changes.clone()));
            let route = match each.transport {
                Transport::Http(http) => Route::Http {
                    participant: Box::new(HttpParticipant::new(&http)?),
                    bulkhead: Bulkhead::new(each.bulkhead),
                },
                Transport::Kafka { commands } => Route::Kafka { commands, bulkhead: Bulkhead::new(each.bulkhead) },
            };
            checks.watch(&each.name, question(&each.name, each.health.as_ref(), &route)?);
            if participants
                .insert(each.name.clone(), Participant { health, capabilities: each.capabilities, route })
                .is_some()
            {
                return Err(Error::Duplicate(each.name));
            }
        }
        Ok(Guarded { participants, unknown: Mutex::default(), checks, changes })
    }

    /// Guards for what participants.yaml says.
    ///
    /// # Errors
    /// As [`Guarded::new`].
    pub fn from_participants(participants: &Participants) -> Result<Guarded, Error> {
        Guarded::new(participants.iter().map(|(name, it)| ParticipantSettings::of(name, it)).collect())
    }

    /// What participants say of themselves when they are asked.
    #[must_use]
    pub fn health_checks(&self) -> &HealthChecks {
        &self.checks
    }

    /// Whether a call to `participant` may leave.
    pub fn admit(&self, participant: &str) -> Admission {
        let Some(found) = self.participants.get(participant) else {
            self.warn_once(participant);
            return Admission::Gone;
        };
        match Permit::take(&found.health) {
            Ok(permit) => Admission::Admitted(permit),
            Err(not_before) => Admission::Refused { guard: Guard::Breaker, not_before: spread(not_before) },
        }
    }

    /// Performs `call` over HTTP, at most as many at once as the bulkhead allows, and tells the breaker how it went. Dropping the future
    /// gives everything back.
    pub async fn call(&self, permit: Permit, mut call: Call) -> Answer {
        let route = call.request.participant().and_then(|name| self.participants.get(name)).map(|found| &found.route);
        let Some(Route::Http { participant, bulkhead }) = route else {
            return refused(&call, Guard::Transport, UNKNOWN_REST);
        };
        let asked = Instant::now();
        let Ok(slot) = bulkhead.enter().await else { return refused(&call, Guard::Bulkhead, BULKHEAD_REST) };
        // The saga's own timer runs from the decision: a call that outlasts it would run beside the next attempt.
        call.attempt_timeout = call.attempt_timeout.saturating_sub(asked.elapsed());
        let answer = participant.call(&call).await;
        drop(slot);
        match verdict(&answer) {
            Some(verdict) => permit.settle(verdict),
            None => drop(permit),
        }
        answer
    }

    /// A place for one command over Kafka, to be held until its reply or its attempt's end.
    ///
    /// # Errors
    /// When as many are under way as the bulkhead allows, and none ends within its patience: offer the command again after
    /// [`BULKHEAD_REST`].
    pub async fn enter(&self, participant: &str) -> Result<Option<Slot>, Full> {
        match self.participants.get(participant).map(|found| &found.route) {
            Some(Route::Kafka { bulkhead, .. }) => bulkhead.enter().await.map(Some),
            Some(Route::Http { .. }) | None => Ok(None),
        }
    }

    /// The topic that takes `participant`'s commands; `None` if it is not configured or called over HTTP.
    #[must_use]
    pub fn kafka_topic(&self, participant: &str) -> Option<&str> {
        match &self.participants.get(participant)?.route {
            Route::Kafka { commands, .. } => Some(commands),
            Route::Http { .. } => None,
        }
    }

    /// Puts what people decided about `participant` into effect, over what participants.yaml says; the same again changes nothing. Its
    /// breaker is forced, left to itself, or reset. Of a participant that is not configured nothing is changed.
    pub fn apply(&self, participant: &str, given: &Override) {
        if let Some(found) = self.participants.get(participant) {
            found.health.steer(given.mode, given.resets);
        }
    }

    /// Where changes of guards are published.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// All participants at this moment, by name.
    #[must_use]
    pub fn snapshot(&self) -> Vec<ParticipantSnapshot> {
        let mut all: Vec<_> = self.participants.iter().map(|(name, it)| it.snapshot(name)).collect();
        all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        all
    }

    fn warn_once(&self, participant: &str) {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.len() < MAX_UNKNOWN && !unknown.contains(participant) {
            unknown.insert(participant.to_owned());
            warn!(participant, "a participant is not configured; sagas that need it park");
        }
    }
}

impl Participant {
    fn snapshot(&self, name: &str) -> ParticipantSnapshot {
        let bulkhead = match &self.route {
            Route::Http { bulkhead, .. } | Route::Kafka { bulkhead, .. } => bulkhead,
        };
        let waiting = bulkhead.waiting();
        let breaker = self.health.snapshot();
        ParticipantSnapshot {
            name: name.to_owned(),
            breaker: breaker.state.into(),
            calls: breaker.calls,
            failures: breaker.failures,
            slow_calls: breaker.slow,
            failure_rate: breaker.failure_rate,
            slow_call_rate: breaker.slow_call_rate,
            stale_results: breaker.stale_results,
            probes_expired: breaker.probes_expired,
            limit: bulkhead.limit(),
            in_flight: self.health.permits().saturating_sub(waiting),
            waiting,
        }
    }
}

/// What a participant is asked by its health check, and how often.
fn question(
    name: &str,
    asked: Option<&participants::Health>,
    route: &Route,
) -> Result<Option<(Question, saga_guards::health::Config)>, Error> {
    let Some(asked) = asked else { return Ok(None) };
    let prober = match route {
        Route::Http { participant, .. } => Some(participant.prober()),
        Route::Kafka { .. } => None,
    };
    let question = Question::of(&asked.check, prober)
        .map_err(|source| http::Error::Client { participant: name.to_owned(), source })?;
    Ok(question.map(|question| (question, asked.config)))
}

/// Nothing left. That is the whole truth only if nothing had left before: an attempt that is being asked after, or may have left in an
/// earlier life, is under way all the same.
fn refused(call: &Call, guard: Guard, retry_after: Duration) -> Answer {
    if call.is_untouched() {
        Answer::NotSent { guard, retry_after }
    } else {
        Answer::Ongoing { ask_after: Some(retry_after), location: call.location.clone() }
    }
}

/// What an answer says about the participant's health; `None`: nothing. Saying no is healthy, an error of its own is not, even where
/// `failOn` makes it a definite failure.
fn verdict(answer: &Answer) -> Option<Verdict> {
    match answer {
        Answer::Succeeded { .. } | Answer::Ongoing { .. } => Some(Verdict::Success),
        Answer::Failed { failure, .. } if failure.code.starts_with("request.") => None,
        Answer::Failed { failure, .. } if failure.code == NOT_CONNECTED || failure.code.starts_with("http.5") => {
            Some(Verdict::Failure)
        }
        Answer::Failed { .. } => Some(Verdict::Success),
        Answer::Unknown { failure, .. } if failure.code.starts_with("request.") => None,
        Answer::Unknown { .. } => Some(Verdict::Failure),
        Answer::NotSent { .. } => None,
    }
}

/// Up to a quarter later, so that everybody who was refused does not come back at once.
fn spread(rest: Duration) -> Duration {
    rest + rest.mul_f64(fastrand::f64() / 4.0)
}
