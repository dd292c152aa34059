//! One attempt after another, of sagas that do not exist, with a note of each.

use super::{Exchange, Subject, Unreachable, kafka, script::told};
use saga_base::clock::Clock;
use saga_core::{
    command::{Answer, Direction, Failure, Retryable},
    id::{CommandId, SagaId, Shard},
};
use saga_resilience::transport::{
    Call, Dispatch,
    http::{HttpParticipant, NOT_CONNECTED},
};
use serde_json::Value;
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Attempts of one command, as an engine retries: enough for a participant that answers a repeated command with "still at it".
const ATTEMPTS: u32 = 6;
/// Before the next attempt, unless the participant asks for more: short, because only we are waiting.
const REST: Duration = Duration::from_millis(300);
/// However long a participant asks to be left alone, a trial does not wait longer.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// How many attempt timeouts a participant that says `ongoing` may take in all.
const ONGOING: u32 = 3;
/// For a participant to answer again after a restart: a JVM on a loaded machine takes a good part of it.
const COMES_BACK: Duration = Duration::from_secs(60);

/// How attempts leave.
pub(super) enum Wire {
    Http(HttpParticipant),
    Kafka(kafka::Wire),
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wire::Http(participant) => {
                let urls: Vec<String> = participant.endpoints().into_iter().map(|endpoint| endpoint.url).collect();
                f.write_str(&urls.join(", "))
            }
            Wire::Kafka(wire) => write!(f, "topic {}", wire.commands()),
        }
    }
}

/// Attempts against one participant.
pub(super) struct Trial<'a> {
    pub(super) subject: &'a Subject,
    wire: Wire,
    exchanges: Vec<Exchange>,
    unreachable: Option<String>,
    /// What dos answered, for their undos.
    results: HashMap<SagaId, Value>,
    /// What the first do answered that succeeded.
    result: Option<Value>,
}

/// A command of a saga of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    saga: SagaId,
}

impl Asked {
    /// Of a saga that nobody knows.
    pub(super) fn anew() -> Asked {
        Asked { saga: SagaId::new(Clock::Wall.now(), Shard(0), fastrand::u64(..)) }
    }
}

impl<'a> Trial<'a> {
    pub(super) fn new(subject: &'a Subject, wire: Wire) -> Trial<'a> {
        Trial { subject, wire, exchanges: Vec::new(), unreachable: None, results: HashMap::new(), result: None }
    }

    /// What was asked since the last time.
    pub(super) fn take_exchanges(&mut self) -> Vec<Exchange> {
        std::mem::take(&mut self.exchanges)
    }

    /// What the first do answered that succeeded.
    pub(super) fn result(self) -> Option<Value> {
        self.result
    }

    /// Why something that was asked did not reach the participant.
    pub(super) fn unreachable(&self) -> Option<Unreachable> {
        self.unreachable.clone().map(Unreachable)
    }

    /// Shortcomings of replies that an engine bears with, as they were seen so far. `None`: there are no replies over HTTP.
    pub(super) fn lapses(&self) -> Option<&[String]> {
        match &self.wire {
            Wire::Http(_) => None,
            Wire::Kafka(wire) => Some(wire.lapses()),
        }
    }

    /// The answer to attempt `first`, or to a later one while it is a failure that may be retried.
    pub(super) async fn settle(&mut self, asked: Asked, direction: Direction, first: u32) -> Answer {
        let mut attempt = first;
        loop {
            let answer = self.attempts(asked, direction, attempt..=attempt).await.remove(0);
            let Answer::Failed { retry: Retryable::Yes | Retryable::Conflict, retry_after, .. } = &answer else {
                return answer;
            };
            if attempt - first + 1 >= ATTEMPTS {
                return answer;
            }
            tokio::time::sleep(retry_after.unwrap_or(REST).clamp(REST, LONGEST_REST)).await;
            attempt += 1;
        }
    }

    /// The same of a participant that has just been restarted; `None`: it does not come back.
    pub(super) async fn settle_after_restart(&mut self, asked: Asked, direction: Direction) -> Option<Answer> {
        let end = Instant::now() + COMES_BACK;
        let mut attempt = 2;
        loop {
            let answer = self.settle(asked, direction, attempt).await;
            if unsent(&answer).is_none() && !matches!(answer, Answer::Unknown { .. }) {
                return Some(answer);
            }
            // That it is away for a while was asked for.
            self.unreachable = None;
            if Instant::now() >= end {
                return None;
            }
            attempt += ATTEMPTS;
        }
    }

    /// Several attempts of one command at the same time; their answers in order.
    pub(super) async fn attempts(
        &mut self,
        asked: Asked,
        direction: Direction,
        attempts: std::ops::RangeInclusive<u32>,
    ) -> Vec<Answer> {
        let calls: Result<Vec<Call>, Failure> =
            attempts.clone().map(|attempt| self.call(asked, direction, attempt)).collect();
        let calls = match calls {
            Ok(calls) => calls,
            Err(failure) => return self.cannot_be_asked(direction, failure, attempts.count()),
        };
        let begun = Instant::now();
        let answers = match &mut self.wire {
            Wire::Http(participant) => {
                futures_util::future::join_all(calls.iter().map(|call| over_http(participant, call))).await
            }
            Wire::Kafka(wire) => wire.ask(&calls).await,
        };
        let unsent = answers.iter().find_map(unsent).map(|why| format!("{why} ({})", self.wire));
        self.unreachable = unsent.or_else(|| self.unreachable.take());
        if let (Direction::Do, Some(result)) = (direction, answers.iter().find_map(succeeded)) {
            self.results.insert(asked.saga, result.clone());
            self.result.get_or_insert_with(|| result.clone());
        }
        let together = if calls.len() > 1 { " at the same time" } else { "" };
        for (call, answer) in calls.iter().zip(&answers) {
            let sent = format!("{} {}, attempt {}{together}", told(&call.request), call.id, call.attempt);
            self.exchanges.push(Exchange { sent, came: format!("{} after {:.0?}", said(answer), begun.elapsed()) });
        }
        answers
    }

    /// What the definition cannot say is an answer, too: nobody else gives one.
    fn cannot_be_asked(&mut self, direction: Direction, failure: Failure, times: usize) -> Vec<Answer> {
        let answer = Answer::Failed { failure, retry: Retryable::No, retry_after: None };
        let sent = match direction {
            Direction::Do => "nothing: what the do sends has no value".to_owned(),
            Direction::Undo => "nothing: what the undo sends has no value".to_owned(),
        };
        self.exchanges.push(Exchange { sent, came: said(&answer) });
        vec![answer; times]
    }

    /// The result is null if the do is not known to have succeeded.
    fn call(&self, asked: Asked, direction: Direction, attempt: u32) -> Result<Call, Failure> {
        let script = &self.subject.script;
        let result = self.results.get(&asked.saga).unwrap_or(&Value::Null);
        Ok(Call {
            id: CommandId { saga: asked.saga, step: script.step().into(), direction },
            saga_name: script.saga().into(),
            attempt,
            request: Arc::new(script.request(asked.saga, direction, result)?),
            attempt_timeout: self.subject.timeout,
            location: None,
            asked: 0,
            dispatch: Dispatch::First,
            traceparent: None,
        })
    }
}

fn succeeded(answer: &Answer) -> Option<&Value> {
    match answer {
        Answer::Succeeded { result } => Some(result),
        Answer::Failed { .. } | Answer::Unknown { .. } | Answer::Ongoing { .. } | Answer::NotSent { .. } => None,
    }
}

/// Why an attempt did not reach the participant. Over HTTP that is a failure in general; here it says nothing of the participant's manners.
fn unsent(answer: &Answer) -> Option<String> {
    match answer {
        Answer::NotSent { .. } => Some("its topic of commands does not exist, or may not be written".into()),
        Answer::Failed { failure, .. } if failure.code == NOT_CONNECTED => Some(failure.message.clone()),
        Answer::Failed { .. } | Answer::Succeeded { .. } | Answer::Unknown { .. } | Answer::Ongoing { .. } => None,
    }
}

/// One attempt to its end, asking where and as often as the participant says.
async fn over_http(participant: &HttpParticipant, call: &Call) -> Answer {
    let give_up = Instant::now() + call.attempt_timeout * ONGOING;
    let mut call = call.clone();
    loop {
        let answer = participant.call(&call).await;
        let Answer::Ongoing { ask_after, location } = &answer else { return answer };
        let rest = ask_after.unwrap_or(REST).min(LONGEST_REST);
        if Instant::now() + rest > give_up {
            return answer;
        }
        tokio::time::sleep(rest).await;
        call = Call { location: location.clone(), asked: call.asked + 1, ..call };
    }
}

/// An answer in words.
pub(super) fn said(answer: &Answer) -> String {
    let because = |failure: &saga_core::command::Failure| match failure.message.as_str() {
        "" => failure.code.clone(),
        message => format!("{}: {message}", failure.code),
    };
    match answer {
        Answer::Succeeded { result } => format!("succeeded {result}"),
        Answer::Failed { failure, retry: Retryable::No, .. } => format!("failed for good ({})", because(failure)),
        Answer::Failed { failure, .. } => format!("failed, may be retried ({})", because(failure)),
        Answer::Unknown { failure, .. } => format!("unknown ({})", because(failure)),
        Answer::Ongoing { .. } => "ongoing".into(),
        Answer::NotSent { guard, .. } => format!("not sent ({guard:?})"),
    }
}
