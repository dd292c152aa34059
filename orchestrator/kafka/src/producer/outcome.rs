//! What can become of a record that is sent.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::fmt;

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProduceOutcome {
    /// The broker has it, on all replicas that are in sync.
    Delivered {
        /// Partition it was written to.
        partition: i32,
        /// Offset of the record in that partition.
        offset: i64,
    },
    /// The broker does not have it, or may not have it.
    Undelivered(DeliveryFailure),
}

/// Why a record was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryFailure {
    /// What is certain about the record.
    pub kind: DeliveryFailureKind,
    /// The client's error, for people.
    pub message: String,
}

/// Why a record was not delivered, and whether it may have been written all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryFailureKind {
    /// The topic never accepts a record of this size. Certainly not written.
    TooLarge,
    /// The broker never accepts the record as it is (no key on a compacted topic, for example). Certainly not written.
    Invalid,
    /// The topic or the cluster accepts no such record as it is configured, or because of our clock. Certainly not
    /// written; an operator may change that.
    Refused,
    /// The topic or the partition does not exist. Certainly not written; an operator may create it.
    UnknownTopic,
    /// This client may not write there. Certainly not written; an operator may grant it.
    Unauthorized,
    /// The client's queue was full. Certainly not written.
    QueueFull,
    /// It was not sent: the client was closed or replaced. Certainly not written.
    NotSent,
    /// No acknowledgement came within [`KafkaSettings::message_timeout`](crate::KafkaSettings::message_timeout). It may
    /// have been written.
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
}

impl DeliveryFailure {
    pub(super) fn of(error: &KafkaError) -> DeliveryFailure {
        let kind = error.rdkafka_error_code().map_or(DeliveryFailureKind::Unknown, kind);
        DeliveryFailure { kind, message: error.to_string() }
    }
}

impl DeliveryFailureKind {
    /// Whether the record itself is at fault, so that no waiting helps. Only another record can be sent instead.
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

    /// Whether the broker refuses a whole batch with this error although only one record in it may be at fault.
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
        // Another record of its batch is invalid. The broker did not check this one.
        | RDKafkaErrorCode::InvalidDifferentRecord
        | RDKafkaErrorCode::PolicyViolation => DeliveryFailureKind::Invalid,
        // The timestamp comes from our clock and is no content of the saga. A wrong checksum is a fault of the
        // transport.
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

    #[test]
    fn only_what_certainly_was_not_written_is_said_to_be() {
        let cases = [
            (RDKafkaErrorCode::MessageSizeTooLarge, DeliveryFailureKind::TooLarge),
            (RDKafkaErrorCode::InvalidRecord, DeliveryFailureKind::Invalid),
            (RDKafkaErrorCode::InvalidTimestamp, DeliveryFailureKind::Refused),
            (RDKafkaErrorCode::UnknownTopicOrPartition, DeliveryFailureKind::UnknownTopic),
            (RDKafkaErrorCode::TopicAuthorizationFailed, DeliveryFailureKind::Unauthorized),
            (RDKafkaErrorCode::QueueFull, DeliveryFailureKind::QueueFull),
            (RDKafkaErrorCode::PurgeQueue, DeliveryFailureKind::NotSent),
            (RDKafkaErrorCode::MessageTimedOut, DeliveryFailureKind::TimedOut),
            (RDKafkaErrorCode::PurgeInflight, DeliveryFailureKind::Unknown),
            (RDKafkaErrorCode::Fail, DeliveryFailureKind::Unknown),
        ];
        for (code, kind) in cases {
            assert_eq!(DeliveryFailure::of(&KafkaError::MessageProduction(code)).kind, kind, "{code:?}");
        }
    }
}
