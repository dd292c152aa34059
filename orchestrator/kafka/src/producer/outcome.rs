//! What can become of a record that is sent, and what that means to a saga.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use saga_core::{
    command::{Answer, ErrorClass, Failure, Guard, Retryable},
    input::Delivery,
};
use std::{fmt, time::Duration};

/// When to try again what the transport could not take: a topic or a permission takes a person, so there is no hurry.
const TRANSPORT_RETRY: Duration = Duration::from_secs(5);

/// When to try again what the client had no room for.
const ROOM_RETRY: Duration = Duration::from_secs(1);

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has it, on all replicas that are in sync.
    Delivered {
        /// Partition it was written to.
        partition: i32,
        /// Its offset there.
        offset: i64,
    },
    /// It does not, or may not, have it.
    Undelivered(Undelivered),
}

/// Why a record was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// What that means.
    pub kind: UndeliveredKind,
    /// For people.
    pub message: String,
}

/// What a record that was not delivered means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndeliveredKind {
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
    /// No acknowledgement came within [`Settings::message_timeout`](crate::Settings::message_timeout): it may have been written.
    TimedOut,
    /// It may have been written.
    Unknown,
}

impl Outcome {
    pub(super) fn lost(message: &str) -> Outcome {
        Outcome::Undelivered(Undelivered { kind: UndeliveredKind::Unknown, message: message.to_owned() })
    }

    /// Whether the broker has it.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        match self {
            Outcome::Delivered { .. } => true,
            Outcome::Undelivered(_) => false,
        }
    }

    /// What the outcome of publishing means to the saga. An unknown one is tried again, under the same id.
    #[must_use]
    pub fn publication(&self) -> Delivery {
        match self {
            Outcome::Delivered { .. } => Delivery::Acknowledged,
            Outcome::Undelivered(undelivered) => undelivered.publication(),
        }
    }
}

impl Undelivered {
    pub(super) fn of(error: &KafkaError) -> Undelivered {
        let kind = error.rdkafka_error_code().map_or(UndeliveredKind::Unknown, kind);
        Undelivered { kind, message: error.to_string() }
    }

    /// What a command that was not delivered means to its saga.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let failure = self.failure();
        match self.kind {
            UndeliveredKind::TooLarge | UndeliveredKind::Invalid => {
                Answer::Failed { failure, retry: Retryable::No, retry_after: None }
            }
            UndeliveredKind::Refused | UndeliveredKind::UnknownTopic | UndeliveredKind::Unauthorized => {
                Answer::NotSent { guard: Guard::Transport, retry_after: TRANSPORT_RETRY }
            }
            UndeliveredKind::QueueFull | UndeliveredKind::NotSent => {
                Answer::NotSent { guard: Guard::Transport, retry_after: ROOM_RETRY }
            }
            UndeliveredKind::TimedOut | UndeliveredKind::Unknown => Answer::unknown(failure),
        }
    }

    fn publication(&self) -> Delivery {
        let failure = self.failure();
        if self.kind.is_for_good() {
            Delivery::Impossible { failure }
        } else {
            Delivery::Refused { failure, retry_after: TRANSPORT_RETRY }
        }
    }

    fn failure(&self) -> Failure {
        Failure::new(self.kind.to_string(), self.message.as_str()).of_class(self.kind.class())
    }
}

impl UndeliveredKind {
    /// Whether it is about the record itself, and no waiting helps. Whoever sends it can only send something else.
    #[must_use]
    pub fn is_for_good(self) -> bool {
        match self {
            UndeliveredKind::TooLarge | UndeliveredKind::Invalid => true,
            UndeliveredKind::Refused
            | UndeliveredKind::UnknownTopic
            | UndeliveredKind::Unauthorized
            | UndeliveredKind::QueueFull
            | UndeliveredKind::NotSent
            | UndeliveredKind::TimedOut
            | UndeliveredKind::Unknown => false,
        }
    }

    /// Whether the broker says it of a whole batch although it may be true of one record in it only.
    pub(super) fn is_of_a_batch(self) -> bool {
        match self {
            UndeliveredKind::TooLarge | UndeliveredKind::Invalid | UndeliveredKind::Refused => true,
            UndeliveredKind::UnknownTopic
            | UndeliveredKind::Unauthorized
            | UndeliveredKind::QueueFull
            | UndeliveredKind::NotSent
            | UndeliveredKind::TimedOut
            | UndeliveredKind::Unknown => false,
        }
    }

    fn class(self) -> ErrorClass {
        match self {
            UndeliveredKind::TooLarge | UndeliveredKind::Invalid => ErrorClass::Validation,
            UndeliveredKind::Refused | UndeliveredKind::UnknownTopic | UndeliveredKind::Unauthorized => {
                ErrorClass::ClientError
            }
            UndeliveredKind::QueueFull
            | UndeliveredKind::NotSent
            | UndeliveredKind::TimedOut
            | UndeliveredKind::Unknown => ErrorClass::Network,
        }
    }
}

/// The stable code: `kafka.too_large` and so on.
impl fmt::Display for UndeliveredKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UndeliveredKind::TooLarge => "kafka.too_large",
            UndeliveredKind::Invalid => "kafka.invalid",
            UndeliveredKind::Refused => "kafka.refused",
            UndeliveredKind::UnknownTopic => "kafka.unknown_topic",
            UndeliveredKind::Unauthorized => "kafka.unauthorized",
            UndeliveredKind::QueueFull => "kafka.queue_full",
            UndeliveredKind::NotSent => "kafka.not_sent",
            UndeliveredKind::TimedOut => "kafka.timed_out",
            UndeliveredKind::Unknown => "kafka.unknown",
        })
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Undelivered {}

/// Codes that do not say for certain that nothing was written count as unknown.
fn kind(code: RDKafkaErrorCode) -> UndeliveredKind {
    match code {
        // The batch is larger than the topic's segments.
        RDKafkaErrorCode::MessageBatchTooLarge
        | RDKafkaErrorCode::MessageSizeTooLarge => UndeliveredKind::TooLarge,
        RDKafkaErrorCode::InvalidRecord
        // Another record of its batch is invalid: this one was not looked at.
        | RDKafkaErrorCode::InvalidDifferentRecord
        | RDKafkaErrorCode::PolicyViolation => UndeliveredKind::Invalid,
        // The timestamp is our clock's and no part of what the saga says; a checksum is the way's.
        RDKafkaErrorCode::InvalidTimestamp
        | RDKafkaErrorCode::InvalidMessage
        | RDKafkaErrorCode::UnsupportedForMessageFormat
        | RDKafkaErrorCode::UnsupportedCompressionType
        | RDKafkaErrorCode::UnsupportedVersion
        | RDKafkaErrorCode::UnsupportedFeature
        | RDKafkaErrorCode::InvalidRequiredAcks => UndeliveredKind::Refused,
        RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownPartition
        | RDKafkaErrorCode::InvalidTopic => UndeliveredKind::UnknownTopic,
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::Authentication => UndeliveredKind::Unauthorized,
        RDKafkaErrorCode::QueueFull => UndeliveredKind::QueueFull,
        RDKafkaErrorCode::PurgeQueue => UndeliveredKind::NotSent,
        RDKafkaErrorCode::MessageTimedOut => UndeliveredKind::TimedOut,
        _ => UndeliveredKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: RDKafkaErrorCode) -> Answer {
        Undelivered::of(&KafkaError::MessageProduction(code)).answer()
    }

    #[test]
    fn a_command_that_is_too_large_has_certainly_failed() {
        assert!(matches!(
            answer(RDKafkaErrorCode::MessageSizeTooLarge),
            Answer::Failed { retry: Retryable::No, failure, .. } if failure.code == "kafka.too_large"
                && failure.class == Some(ErrorClass::Validation)
        ));
    }

    #[test]
    fn a_topic_that_does_not_exist_or_is_forbidden_holds_the_command_back_like_a_guard() {
        for code in [RDKafkaErrorCode::UnknownTopicOrPartition, RDKafkaErrorCode::TopicAuthorizationFailed] {
            assert!(matches!(answer(code), Answer::NotSent { guard: Guard::Transport, .. }));
        }
    }

    #[test]
    fn what_is_not_certain_is_unknown() {
        for code in [RDKafkaErrorCode::MessageTimedOut, RDKafkaErrorCode::PurgeInflight, RDKafkaErrorCode::Fail] {
            let Answer::Unknown { failure, retry: Retryable::Yes, .. } = answer(code) else { panic!("unknown") };
            assert_eq!(failure.class, Some(ErrorClass::Network));
        }
    }
}
