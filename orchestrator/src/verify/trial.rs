//! Sends attempts of commands of sagas that do not exist, and keeps a transcript.

use super::{AttemptTranscript, VerificationError, VerificationSubject, kafka, script::told};
use saga_base::clock::EngineClock;
use saga_core::{
    command::{CommandAnswer, CommandDirection, CommandFailure, FailureOrigin, RetryAdvice},
    id::{CommandId, SagaId, ShardId},
};
use saga_resilience::transport::{DispatchKind, ParticipantCall, http::HttpParticipantClient};
use serde_json::Value;
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Attempts of one command: enough for a participant that answers repeated commands with `ongoing` or a conflict.
const ATTEMPTS: u32 = 6;
/// Retry delay, unless the participant asks for a longer one: short, because only this command waits.
const RETRY_DELAY: Duration = Duration::from_millis(300);
/// The longest retry delay, whatever the participant asks for.
const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(5);
/// Attempt timeouts that a participant may use in all when it answers `ongoing`.
const ONGOING: u32 = 3;
/// Maximum wait for the first answer after a restart: a JVM on a loaded machine needs much of it.
const RESTART_TIMEOUT: Duration = Duration::from_secs(60);

/// The transport of attempts.
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
    /// Results of dos, for their undos.
    results: HashMap<SagaId, Value>,
    /// The result of the first do that succeeded.
    result: Option<Value>,
}

/// A command of a saga of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrialCommand {
    saga: SagaId,
}

impl TrialCommand {
    /// A command of a new saga, which no engine knows.
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

    /// The attempts since the last call.
    pub(super) fn take_exchanges(&mut self) -> Vec<AttemptTranscript> {
        std::mem::take(&mut self.exchanges)
    }

    /// The result of the first do that succeeded.
    pub(super) fn result(self) -> Option<Value> {
        self.result
    }

    /// Why an attempt did not reach the participant, if one did not.
    pub(super) fn unreachable(&self) -> Option<VerificationError> {
        self.unreachable.clone().map(VerificationError)
    }

    /// Shortcomings of replies so far that an engine tolerates. `None`: HTTP has no replies.
    pub(super) fn lapses(&self) -> Option<&[String]> {
        match &self.wire {
            TrialTransport::Http(_) => None,
            TrialTransport::Kafka(wire) => Some(wire.lapses()),
        }
    }

    /// Sends attempt `first` and repeats it while the answer is a retryable failure; returns the last answer.
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
            tokio::time::sleep(retry_after.unwrap_or(RETRY_DELAY).clamp(RETRY_DELAY, LONGEST_RETRY_DELAY)).await;
            attempt += 1;
        }
    }

    /// The same after a restart; `None`: the participant does not answer again in time.
    pub(super) async fn settle_after_restart(
        &mut self,
        asked: TrialCommand,
        direction: CommandDirection,
    ) -> Option<CommandAnswer> {
        let end = Instant::now() + RESTART_TIMEOUT;
        let mut attempt = 2;
        loop {
            let answer = self.settle(asked, direction, attempt).await;
            if unsent(&answer).is_none() && !matches!(answer, CommandAnswer::Unknown { .. }) {
                return Some(answer);
            }
            // The restart makes the participant unavailable for a while.
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
        if let (CommandDirection::Do, Some(result)) = (direction, answers.iter().find_map(CommandAnswer::result)) {
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

    /// A request without a value is the answer, too: no participant gives one.
    fn cannot_be_asked(
        &mut self,
        direction: CommandDirection,
        failure: CommandFailure,
        times: usize,
    ) -> Vec<CommandAnswer> {
        let answer = CommandAnswer::Failed { failure, retry: RetryAdvice::No, retry_after: None };
        let sent = match direction {
            CommandDirection::Do => "nothing: the input of the do has no value".to_owned(),
            CommandDirection::Undo => "nothing: the input of the undo has no value".to_owned(),
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
            saga: asked.saga,
            id: CommandId { saga: asked.saga, step: script.step().into(), direction },
            saga_name: script.saga().into(),
            attempt,
            request: Arc::new(script.request(asked.saga, direction, result)?),
            attempt_timeout: self.subject.timeout,
            location: None,
            asked: 0,
            dispatch: DispatchKind::First,
            traceparent: None,
            passed_on: Vec::new(),
        })
    }
}

/// Why an attempt did not reach the participant: such a failure says nothing about the participant's rules.
fn unsent(answer: &CommandAnswer) -> Option<String> {
    match answer {
        CommandAnswer::NotSent { .. } => {
            Some("its topic of commands does not exist, or this client must not write to it".into())
        }
        CommandAnswer::Failed { failure, .. } if failure.origin == FailureOrigin::Transport => {
            Some(failure.message.clone())
        }
        CommandAnswer::Failed { .. }
        | CommandAnswer::Succeeded { .. }
        | CommandAnswer::Unknown { .. }
        | CommandAnswer::Ongoing { .. } => None,
    }
}

/// One attempt to its end: after `ongoing` it asks at the place and time that the participant says.
async fn over_http(participant: &HttpParticipantClient, call: &ParticipantCall) -> CommandAnswer {
    let give_up = Instant::now() + call.attempt_timeout * ONGOING;
    let mut call = call.clone();
    loop {
        let answer = participant.call(&call).await;
        let CommandAnswer::Ongoing { ask_after, location } = &answer else { return answer };
        let delay = ask_after.unwrap_or(RETRY_DELAY).min(LONGEST_RETRY_DELAY);
        if Instant::now() + delay > give_up {
            return answer;
        }
        tokio::time::sleep(delay).await;
        call = ParticipantCall { location: location.clone(), asked: call.asked + 1, ..call };
    }
}

/// An answer as text.
pub(super) fn said(answer: &CommandAnswer) -> String {
    let because = |failure: &saga_core::command::CommandFailure| match failure.message.as_str() {
        "" => failure.code.clone(),
        message => format!("{}: {message}", failure.code),
    };
    match answer {
        CommandAnswer::Succeeded { result } => format!("succeeded {result}"),
        CommandAnswer::Failed { failure, retry: RetryAdvice::No, .. } => {
            format!("failed permanently ({})", because(failure))
        }
        CommandAnswer::Failed { failure, .. } => format!("failed, can be retried ({})", because(failure)),
        CommandAnswer::Unknown { failure, .. } => format!("unknown ({})", because(failure)),
        CommandAnswer::Ongoing { .. } => "ongoing".into(),
        CommandAnswer::NotSent { guard, .. } => format!("not sent ({guard:?})"),
    }
}
