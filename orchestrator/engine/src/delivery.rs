//! What a record that was not delivered means to the saga that sent it.

use super::schema_source::EncodeRefusal;
use saga_core::{
    command::{CommandAnswer, CommandFailure, ErrorClass, FailureOrigin, GuardKind, RetryAdvice},
    input::OutcomeDelivery,
};
use saga_kafka::producer::{DeliveryFailure, DeliveryFailureKind, ProduceOutcome};
use std::time::Duration;

/// When to try again what the transport could not take: a topic or a permission takes a person, so there is no hurry.
const TRANSPORT_RETRY: Duration = Duration::from_secs(5);

/// When to try again what the client had no room for.
const ROOM_RETRY: Duration = Duration::from_secs(1);

/// The answer to the attempt of a command whose record was not delivered: failed where the broker will never take it,
/// not sent where it certainly was not written, and unknown otherwise.
#[must_use]
pub fn command_answer(undelivered: &DeliveryFailure) -> CommandAnswer {
    match undelivered.kind {
        DeliveryFailureKind::TooLarge | DeliveryFailureKind::Invalid => {
            CommandAnswer::Failed { failure: failure(undelivered), retry: RetryAdvice::No, retry_after: None }
        }
        DeliveryFailureKind::Refused | DeliveryFailureKind::UnknownTopic | DeliveryFailureKind::Unauthorized => {
            CommandAnswer::NotSent { guard: GuardKind::Transport, retry_after: TRANSPORT_RETRY }
        }
        DeliveryFailureKind::QueueFull | DeliveryFailureKind::NotSent => {
            CommandAnswer::NotSent { guard: GuardKind::Transport, retry_after: ROOM_RETRY }
        }
        DeliveryFailureKind::TimedOut | DeliveryFailureKind::Unknown => CommandAnswer::unknown(failure(undelivered)),
    }
}

/// What the outcome of publishing means to the saga. An unknown one is tried again, under the same id.
#[must_use]
pub fn publication(outcome: &ProduceOutcome) -> OutcomeDelivery {
    match outcome {
        ProduceOutcome::Delivered { .. } => OutcomeDelivery::Acknowledged,
        ProduceOutcome::Undelivered(undelivered) if undelivered.kind.is_permanent() => {
            OutcomeDelivery::Impossible { failure: failure(undelivered) }
        }
        ProduceOutcome::Undelivered(undelivered) => {
            OutcomeDelivery::Refused { failure: failure(undelivered), retry_after: TRANSPORT_RETRY }
        }
    }
}

/// The answer to the attempt of a command that is in no bytes that its topic takes: failed where its value does not fit
/// the schema, not sent where the schema cannot be had.
#[must_use]
pub fn unencoded_answer(refusal: &EncodeRefusal) -> CommandAnswer {
    match refusal {
        EncodeRefusal::Unfit(_) => {
            CommandAnswer::Failed { failure: unencoded(refusal), retry: RetryAdvice::No, retry_after: None }
        }
        EncodeRefusal::NoSchema(_) => {
            CommandAnswer::NotSent { guard: GuardKind::Transport, retry_after: TRANSPORT_RETRY }
        }
    }
}

/// The same for an event of a saga's end.
#[must_use]
pub fn unencoded_publication(refusal: &EncodeRefusal) -> OutcomeDelivery {
    let failure = unencoded(refusal);
    match refusal {
        EncodeRefusal::Unfit(_) => OutcomeDelivery::Impossible { failure },
        EncodeRefusal::NoSchema(_) => OutcomeDelivery::Refused { failure, retry_after: TRANSPORT_RETRY },
    }
}

fn unencoded(refusal: &EncodeRefusal) -> CommandFailure {
    let (code, class) = match refusal {
        EncodeRefusal::Unfit(_) => ("avro.unfit", ErrorClass::Validation),
        EncodeRefusal::NoSchema(_) => ("avro.no_schema", ErrorClass::ClientError),
    };
    CommandFailure::new(code, refusal.to_string()).of_origin(FailureOrigin::Engine).of_class(class)
}

fn failure(undelivered: &DeliveryFailure) -> CommandFailure {
    let failure = CommandFailure::new(undelivered.kind.to_string(), undelivered.message.as_str());
    failure.of_origin(FailureOrigin::Broker).of_class(class(undelivered.kind))
}

fn class(kind: DeliveryFailureKind) -> ErrorClass {
    match kind {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn undelivered(kind: DeliveryFailureKind) -> DeliveryFailure {
        DeliveryFailure { kind, message: "no".into() }
    }

    #[test]
    fn a_command_that_is_too_large_has_certainly_failed() {
        assert!(matches!(
            command_answer(&undelivered(DeliveryFailureKind::TooLarge)),
            CommandAnswer::Failed { retry: RetryAdvice::No, failure, .. } if failure.code == "kafka.too_large"
                && failure.class == Some(ErrorClass::Validation)
        ));
    }

    #[test]
    fn a_topic_that_does_not_exist_or_is_forbidden_holds_the_command_back_like_a_guard() {
        for kind in [DeliveryFailureKind::UnknownTopic, DeliveryFailureKind::Unauthorized] {
            let answer = command_answer(&undelivered(kind));
            assert!(matches!(answer, CommandAnswer::NotSent { guard: GuardKind::Transport, .. }));
        }
    }

    #[test]
    fn a_value_that_does_not_fit_has_failed_and_a_schema_that_is_missing_holds_it_back() {
        let unfit = EncodeRefusal::Unfit("amountCents: expected an integer".to_owned());
        assert!(matches!(
            unencoded_answer(&unfit),
            CommandAnswer::Failed { retry: RetryAdvice::No, failure, .. } if failure.code == "avro.unfit"
        ));
        assert!(matches!(unencoded_publication(&unfit), OutcomeDelivery::Impossible { .. }));
        let missing = EncodeRefusal::NoSchema("the registry is unavailable".to_owned());
        assert!(matches!(unencoded_answer(&missing), CommandAnswer::NotSent { guard: GuardKind::Transport, .. }));
        assert!(matches!(unencoded_publication(&missing), OutcomeDelivery::Refused { .. }));
    }

    #[test]
    fn what_is_not_certain_is_unknown() {
        for kind in [DeliveryFailureKind::TimedOut, DeliveryFailureKind::Unknown] {
            let CommandAnswer::Unknown { failure, retry: RetryAdvice::Yes, .. } = command_answer(&undelivered(kind))
            else {
                panic!("unknown")
            };
            assert_eq!(failure.class, Some(ErrorClass::Network));
        }
    }

    #[test]
    fn what_can_never_be_published_is_not_tried_again() {
        let outcome = |kind| publication(&ProduceOutcome::Undelivered(undelivered(kind)));
        assert!(matches!(outcome(DeliveryFailureKind::Invalid), OutcomeDelivery::Impossible { .. }));
        assert!(matches!(outcome(DeliveryFailureKind::Unknown), OutcomeDelivery::Refused { .. }));
    }
}
