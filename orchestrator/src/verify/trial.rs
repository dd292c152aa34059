//! One attempt after another, of sagas that do not exist, with a note of each.

use super::{AttemptTranscript, VerificationError, VerificationSubject, kafka, script::told};
use saga_base::clock::EngineClock;
use saga_core::{
    command::{CommandAnswer, CommandDirection, CommandFailure, RetryAdvice},
    id::{CommandId, SagaId, ShardId},
};
use saga_resilience::transport::{
    DispatchKind, ParticipantCall,
    http::{HttpParticipantClient, NOT_CONNECTED},
};
use serde_json::Value;
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Attempts of one command, as an engine retries: enough for a participant that answers a repeated command with "still
/// at it".
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
pub(super) enum TrialTransport {
    Http(HttpParticipantClient),
    Kafka(kafka::KafkaTrialTransport),
}

impl fmt::Display for TrialTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrialTransport::Http(participant) => {
                let urls: Vec<String> = participant.endpoints().into_iter().map(|endpoint| endpoint.url).collect();
                f.write_str(&urls.join(", "))
            }
            TrialTransport::Kafka(wire) => write!(f, "topic {}", wire.commands()),
        }
    }
}

/// Attempts against one participant.
pub(super) struct ParticipantTrial<'a> {
    pub(super) subject: &'a VerificationSubject,
    wire: TrialTransport,
    exchanges: Vec<AttemptTranscript>,
    unreachable: Option<String>,
    /// What dos answered, for their undos.
    results: HashMap<SagaId, Value>,
    /// What the first do answered that succeeded.
    result: Option<Value>,
}

/// A command of a saga of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrialCommand {
    saga: SagaId,
}

impl TrialCommand {
    /// Of a saga that nobody knows.
    pub(super) fn anew() -> TrialCommand {
        TrialCommand { saga: SagaId::new(EngineClock::Wall.now(), ShardId(0), fastrand::u64(..)) }
    }
}

impl<'a> ParticipantTrial<'a> {
    pub(super) fn new(subject: &'a VerificationSubject, wire: TrialTransport) -> ParticipantTrial<'a> {
        ParticipantTrial {
            subject,
            wire,
            exchanges: Vec::new(),
            unreachable: None,
            results: HashMap::new(),
            result: None,
        }
    }

    /// What was asked since the last time.
    pub(super) fn take_exchanges(&mut self) -> Vec<AttemptTranscript> {
        std::mem::take(&mut self.exchanges)
    }

    /// What the first do answered that succeeded.
    pub(super) fn result(self) -> Option<Value> {
        self.result
    }

    /// Why something that was asked did not reach the participant.
    pub(super) fn unreachable(&self) -> Option<VerificationError> {
        self.unreachable.clone().map(VerificationError)
    }

    /// Shortcomings of replies that an engine bears with, as they were seen so far. `None`: there are no replies over
    /// HTTP.
    pub(super) fn lapses(&self) -> Option<&[String]> {
        match &self.wire {
            TrialTransport::Http(_) => None,
            TrialTransport::Kafka(wire) => Some(wire.lapses()),
        }
    }

    /// The answer to attempt `first`, or to a later one while it is a failure that may be retried.
    pub(super) async fn settle(
        &mut self,
        asked: TrialCommand,
        direction: CommandDirection,
        first: u32,
    ) -> CommandAnswer {
        let mut attempt = first;
        loop {
            let answer = self.attempts(asked, direction, attempt..=attempt).await.remove(0);
            let CommandAnswer::Failed { retry: RetryAdvice::Yes | RetryAdvice::Conflict, retry_after, .. } = &answer
            else {
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
    pub(super) async fn settle_after_restart(
        &mut self,
        asked: TrialCommand,
        direction: CommandDirection,
    ) -> Option<CommandAnswer> {
        let end = Instant::now() + COMES_BACK;
        let mut attempt = 2;
        loop {
            let answer = self.settle(asked, direction, attempt).await;
            if unsent(&answer).is_none() && !matches!(answer, CommandAnswer::Unknown { .. }) {
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
        asked: TrialCommand,
        direction: CommandDirection,
        attempts: std::ops::RangeInclusive<u32>,
    ) -> Vec<CommandAnswer> {
        let calls: Result<Vec<ParticipantCall>, CommandFailure> =
            attempts.clone().map(|attempt| self.call(asked, direction, attempt)).collect();
        let calls = match calls {
            Ok(calls) => calls,
            Err(failure) => return self.cannot_be_asked(direction, failure, attempts.count()),
        };
        let begun = Instant::now();
        let answers = match &mut self.wire {
            TrialTransport::Http(participant) => {
                futures_util::future::join_all(calls.iter().map(|call| over_http(participant, call))).await
            }
            TrialTransport::Kafka(wire) => wire.ask(&calls).await,
        };
        let unsent = answers.iter().find_map(unsent).map(|why| format!("{why} ({})", self.wire));
        self.unreachable = unsent.or_else(|| self.unreachable.take());
        if let (CommandDirection::Do, Some(result)) = (direction, answers.iter().find_map(succeeded)) {
            self.results.insert(asked.saga, result.clone());
            self.result.get_or_insert_with(|| result.clone());
        }
        let together = if calls.len() > 1 { " at the same time" } else { "" };
        for (call, answer) in calls.iter().zip(&answers) {
            let sent = format!("{} {}, attempt {}{together}", told(&call.request), call.id, call.attempt);
            self.exchanges
                .push(AttemptTranscript { sent, came: format!("{} after {:.0?}", said(answer), begun.elapsed()) });
        }
        answers
    }

    /// What the definition cannot say is an answer, too: nobody else gives one.
    fn cannot_be_asked(
        &mut self,
        direction: CommandDirection,
        failure: CommandFailure,
        times: usize,
    ) -> Vec<CommandAnswer> {
        let answer = CommandAnswer::Failed { failure, retry: RetryAdvice::No, retry_after: None };
        let sent = match direction {
            CommandDirection::Do => "nothing: what the do sends has no value".to_owned(),
            CommandDirection::Undo => "nothing: what the undo sends has no value".to_owned(),
        };
        self.exchanges.push(AttemptTranscript { sent, came: said(&answer) });
        vec![answer; times]
    }

    /// The result is null if the do is not known to have succeeded.
    fn call(
        &self,
        asked: TrialCommand,
        direction: CommandDirection,
        attempt: u32,
    ) -> Result<ParticipantCall, CommandFailure> {
        let script = &self.subject.script;
        let result = self.results.get(&asked.saga).unwrap_or(&Value::Null);
        Ok(ParticipantCall {
            id: CommandId { saga: asked.saga, step: script.step().into(), direction },
            saga_name: script.saga().into(),
            attempt,
            request: Arc::new(script.request(asked.saga, direction, result)?),
            attempt_timeout: self.subject.timeout,
            location: None,
            asked: 0,
            dispatch: DispatchKind::First,
            traceparent: None,
        })
    }
}

fn succeeded(answer: &CommandAnswer) -> Option<&Value> {
    match answer {
        CommandAnswer::Succeeded { result } => Some(result),
        CommandAnswer::Failed { .. }
        | CommandAnswer::Unknown { .. }
        | CommandAnswer::Ongoing { .. }
        | CommandAnswer::NotSent { .. } => None,
    }
}

/// Why an attempt did not reach the participant. Over HTTP that is a failure in general; here it says nothing of the
/// participant's manners.
fn unsent(answer: &CommandAnswer) -> Option<String> {
    match answer {
        CommandAnswer::NotSent { .. } => Some("its topic of commands does not exist, or may not be written".into()),
        CommandAnswer::Failed { failure, .. } if failure.code == NOT_CONNECTED => Some(failure.message.clone()),
        CommandAnswer::Failed { .. }
        | CommandAnswer::Succeeded { .. }
        | CommandAnswer::Unknown { .. }
        | CommandAnswer::Ongoing { .. } => None,
    }
}

/// One attempt to its end, asking where and as often as the participant says.
async fn over_http(participant: &HttpParticipantClient, call: &ParticipantCall) -> CommandAnswer {
    let give_up = Instant::now() + call.attempt_timeout * ONGOING;
    let mut call = call.clone();
    loop {
        let answer = participant.call(&call).await;
        let CommandAnswer::Ongoing { ask_after, location } = &answer else { return answer };
        let rest = ask_after.unwrap_or(REST).min(LONGEST_REST);
        if Instant::now() + rest > give_up {
            return answer;
        }
        tokio::time::sleep(rest).await;
        call = ParticipantCall { location: location.clone(), asked: call.asked + 1, ..call };
    }
}

/// An answer in words.
pub(super) fn said(answer: &CommandAnswer) -> String {
    let because = |failure: &saga_core::command::CommandFailure| match failure.message.as_str() {
        "" => failure.code.clone(),
        message => format!("{}: {message}", failure.code),
    };
    match answer {
        CommandAnswer::Succeeded { result } => format!("succeeded {result}"),
        CommandAnswer::Failed { failure, retry: RetryAdvice::No, .. } => {
            format!("failed for good ({})", because(failure))
        }
        CommandAnswer::Failed { failure, .. } => format!("failed, may be retried ({})", because(failure)),
        CommandAnswer::Unknown { failure, .. } => format!("unknown ({})", because(failure)),
        CommandAnswer::Ongoing { .. } => "ongoing".into(),
        CommandAnswer::NotSent { guard, .. } => format!("not sent ({guard:?})"),
    }
}
