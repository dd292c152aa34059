//! What can become of a record that is sent, and what that means to a saga.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use saga_core::{
    command::{CommandAnswer, CommandFailure, ErrorClass, FailureOrigin, GuardKind, RetryAdvice},
    input::OutcomeDelivery,
};
use std::{fmt, time::Duration};

/// When to try again what the transport could not take: a topic or a permission takes a person, so there is no hurry.
const TRANSPORT_RETRY: Duration = Duration::from_secs(5);

/// When to try again what the client had no room for.
const ROOM_RETRY: Duration = Duration::from_secs(1);

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProduceOutcome {
    /// The broker has it, on all replicas that are in sync.
    Delivered {
        /// Partition it was written to.
        partition: i32,
        /// Its offset there.
        offset: i64,
    },
    /// It does not, or may not, have it.
    Undelivered(DeliveryFailure),
}

/// Why a record was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryFailure {
    /// What that means.
    pub kind: DeliveryFailureKind,
    /// For people.
    pub message: String,
}

/// What a record that was not delivered means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryFailureKind {
    /// Too large for the topic, and always will be. Certainly not written.
    TooLarge,
    /// The broker will never take it as it is (no key on a compacted topic, say). Certainly not written.
    Invalid,
    /// The topic or the cluster takes nothing of its kind as it is configured, or as our clock runs. Certainly not written; somebody may
    /// change that.
    Refused,
    /// The topic or the partition does not exist. Certainly not written; somebody may create it.
    UnknownTopic,
    /// We may not write there. Certainly not written; somebody may allow it.
    Unauthorized,
    /// No room to wait in. Certainly not written.
    QueueFull,
    /// It did not leave: the client was closed or made anew. Certainly not written.
    NotSent,
    /// No acknowledgement came within [`Settings::message_timeout`](crate::KafkaSettings::message_timeout): it may have been written.
    TimedOut,
    /// It may have been written.
    Unknown,
}

impl ProduceOutcome {
    pub(super) fn lost(message: &str) -> ProduceOutcome {
        ProduceOutcome::Undelivered(DeliveryFailure { kind: DeliveryFailureKind::Unknown, message: message.to_owned() })
    }

    /// Whether the broker has it.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        match self {
            ProduceOutcome::Delivered { .. } => true,
            ProduceOutcome::Undelivered(_) => false,
        }
    }

    /// What the outcome of publishing means to the saga. An unknown one is tried again, under the same id.
    #[must_use]
    pub fn publication(&self) -> OutcomeDelivery {
        match self {
            ProduceOutcome::Delivered { .. } => OutcomeDelivery::Acknowledged,
            ProduceOutcome::Undelivered(undelivered) => undelivered.publication(),
        }
    }
}

impl DeliveryFailure {
    pub(super) fn of(error: &KafkaError) -> DeliveryFailure {
        let kind = error.rdkafka_error_code().map_or(DeliveryFailureKind::Unknown, kind);
        DeliveryFailure { kind, message: error.to_string() }
    }

    /// What a command that was not delivered means to its saga.
    #[must_use]
    pub fn answer(&self) -> CommandAnswer {
        let failure = self.failure();
        match self.kind {
            DeliveryFailureKind::TooLarge | DeliveryFailureKind::Invalid => {
                CommandAnswer::Failed { failure, retry: RetryAdvice::No, retry_after: None }
            }
            DeliveryFailureKind::Refused | DeliveryFailureKind::UnknownTopic | DeliveryFailureKind::Unauthorized => {
                CommandAnswer::NotSent { guard: GuardKind::Transport, retry_after: TRANSPORT_RETRY }
            }
            DeliveryFailureKind::QueueFull | DeliveryFailureKind::NotSent => {
                CommandAnswer::NotSent { guard: GuardKind::Transport, retry_after: ROOM_RETRY }
            }
            DeliveryFailureKind::TimedOut | DeliveryFailureKind::Unknown => CommandAnswer::unknown(failure),
        }
    }

    fn publication(&self) -> OutcomeDelivery {
        let failure = self.failure();
        if self.kind.is_permanent() {
            OutcomeDelivery::Impossible { failure }
        } else {
            OutcomeDelivery::Refused { failure, retry_after: TRANSPORT_RETRY }
        }
    }

    fn failure(&self) -> CommandFailure {
        let failure = CommandFailure::new(self.kind.to_string(), self.message.as_str());
        failure.of_origin(FailureOrigin::Broker).of_class(self.kind.class())
    }
}

impl DeliveryFailureKind {
    /// Whether it is about the record itself, and no waiting helps. Whoever sends it can only send something else.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        match self {
            DeliveryFailureKind::TooLarge | DeliveryFailureKind::Invalid => true,
            DeliveryFailureKind::Refused
            | DeliveryFailureKind::UnknownTopic
            | DeliveryFailureKind::Unauthorized
            | DeliveryFailureKind::QueueFull
            | DeliveryFailureKind::NotSent
            | DeliveryFailureKind::TimedOut
            | DeliveryFailureKind::Unknown => false,
        }
    }

    /// Whether the broker says it of a whole batch although it may be true of one record in it only.
    pub(super) fn may_be_of_batch(self) -> bool {
        match self {
            DeliveryFailureKind::TooLarge | DeliveryFailureKind::Invalid | DeliveryFailureKind::Refused => true,
            DeliveryFailureKind::UnknownTopic
            | DeliveryFailureKind::Unauthorized
            | DeliveryFailureKind::QueueFull
            | DeliveryFailureKind::NotSent
            | DeliveryFailureKind::TimedOut
            | DeliveryFailureKind::Unknown => false,
        }
    }

    fn class(self) -> ErrorClass {
        match self {
            DeliveryFailureKind::TooLarge | DeliveryFailureKind::Invalid => ErrorClass::Validation,
            DeliveryFailureKind::Refused | DeliveryFailureKind::UnknownTopic | DeliveryFailureKind::Unauthorized => {
                ErrorClass::ClientError
            }
            DeliveryFailureKind::QueueFull
            | DeliveryFailureKind::NotSent
            | DeliveryFailureKind::TimedOut
            | DeliveryFailureKind::Unknown => ErrorClass::Network,
        }
    }
}

/// The stable code: `kafka.too_large` and so on.
impl fmt::Display for DeliveryFailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeliveryFailureKind::TooLarge => "kafka.too_large",
            DeliveryFailureKind::Invalid => "kafka.invalid",
            DeliveryFailureKind::Refused => "kafka.refused",
            DeliveryFailureKind::UnknownTopic => "kafka.unknown_topic",
            DeliveryFailureKind::Unauthorized => "kafka.unauthorized",
            DeliveryFailureKind::QueueFull => "kafka.queue_full",
            DeliveryFailureKind::NotSent => "kafka.not_sent",
            DeliveryFailureKind::TimedOut => "kafka.timed_out",
            DeliveryFailureKind::Unknown => "kafka.unknown",
        })
    }
}

impl fmt::Display for DeliveryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for DeliveryFailure {}

/// Codes that do not say for certain that nothing was written count as unknown.
fn kind(code: RDKafkaErrorCode) -> DeliveryFailureKind {
    match code {
        // The batch is larger than the topic's segments.
        RDKafkaErrorCode::MessageBatchTooLarge
        | RDKafkaErrorCode::MessageSizeTooLarge => DeliveryFailureKind::TooLarge,
        RDKafkaErrorCode::InvalidRecord
        // Another record of its batch is invalid: this one was not looked at.
        | RDKafkaErrorCode::InvalidDifferentRecord
        | RDKafkaErrorCode::PolicyViolation => DeliveryFailureKind::Invalid,
        // The timestamp is our clock's and no part of what the saga says; a checksum is the way's.
        RDKafkaErrorCode::InvalidTimestamp
        | RDKafkaErrorCode::InvalidMessage
        | RDKafkaErrorCode::UnsupportedForMessageFormat
        | RDKafkaErrorCode::UnsupportedCompressionType
        | RDKafkaErrorCode::UnsupportedVersion
        | RDKafkaErrorCode::UnsupportedFeature
        | RDKafkaErrorCode::InvalidRequiredAcks => DeliveryFailureKind::Refused,
        RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownPartition
        | RDKafkaErrorCode::InvalidTopic => DeliveryFailureKind::UnknownTopic,
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::Authentication => DeliveryFailureKind::Unauthorized,
        RDKafkaErrorCode::QueueFull => DeliveryFailureKind::QueueFull,
        RDKafkaErrorCode::PurgeQueue => DeliveryFailureKind::NotSent,
        RDKafkaErrorCode::MessageTimedOut => DeliveryFailureKind::TimedOut,
        _ => DeliveryFailureKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: RDKafkaErrorCode) -> CommandAnswer {
        DeliveryFailure::of(&KafkaError::MessageProduction(code)).answer()
    }

    #[test]
    fn a_command_that_is_too_large_has_certainly_failed() {
        assert!(matches!(
            answer(RDKafkaErrorCode::MessageSizeTooLarge),
            CommandAnswer::Failed { retry: RetryAdvice::No, failure, .. } if failure.code == "kafka.too_large"
                && failure.class == Some(ErrorClass::Validation)
        ));
    }

    #[test]
    fn a_topic_that_does_not_exist_or_is_forbidden_holds_the_command_back_like_a_guard() {
        for code in [RDKafkaErrorCode::UnknownTopicOrPartition, RDKafkaErrorCode::TopicAuthorizationFailed] {
            assert!(matches!(answer(code), CommandAnswer::NotSent { guard: GuardKind::Transport, .. }));
        }
    }

    #[test]
    fn what_is_not_certain_is_unknown() {
        for code in [RDKafkaErrorCode::MessageTimedOut, RDKafkaErrorCode::PurgeInflight, RDKafkaErrorCode::Fail] {
            let CommandAnswer::Unknown { failure, retry: RetryAdvice::Yes, .. } = answer(code) else {
                panic!("unknown")
            };
            assert_eq!(failure.class, Some(ErrorClass::Network));
        }
    }
}
