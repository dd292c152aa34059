//! Classes of failures where a participant's file says otherwise: the same for HTTP and Kafka.

use saga_core::{
    command::{CommandAnswer, CommandFailure, ErrorClass, RetryAdvice},
    definition::participants::{FailureHandling, FailurePattern, ParticipantConfig},
};
use std::collections::BTreeMap;

/// What a participant's `errors` say. By default nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorClassifier {
    /// The first that fits counts.
    pub patterns: Vec<(FailurePattern, ErrorClass)>,
    /// What becomes of the failures of a class.
    pub handling: BTreeMap<ErrorClass, FailureHandling>,
}

impl ErrorClassifier {
    /// The classifier that participants.yaml gives to `participant`.
    #[must_use]
    pub fn of(participant: &ParticipantConfig) -> ErrorClassifier {
        ErrorClassifier { patterns: participant.classes.clone(), handling: participant.handling.clone() }
    }

    /// `answer` with the class and the handling that the participant's file gives to it. What is certain stays certain
    /// and what is unknown stays unknown: only whether it is tried again changes. Failures without a class are our own,
    /// and stay as they are.
    #[must_use]
    pub fn applied(&self, answer: CommandAnswer) -> CommandAnswer {
        let classified = self.classified(answer);
        match classified {
            CommandAnswer::Failed { failure, retry, retry_after } => {
                let retry = self.handled(&failure, retry);
                CommandAnswer::Failed { failure, retry, retry_after }
            }
            CommandAnswer::Unknown { failure, retry, retry_after } => {
                let retry = self.handled(&failure, retry);
                CommandAnswer::Unknown { failure, retry, retry_after }
            }
            CommandAnswer::Succeeded { .. } | CommandAnswer::Ongoing { .. } | CommandAnswer::NotSent { .. } => {
                classified
            }
        }
    }

    /// The same of an attempt that had left before: that its failure is not tried again does not make certain what the
    /// earlier sending did.
    #[must_use]
    pub fn applied_to_repeated(&self, answer: CommandAnswer) -> CommandAnswer {
        let said_nothing_of_before = may_be_retried(&answer);
        let applied = self.applied(answer);
        if said_nothing_of_before { in_doubt(applied) } else { applied }
    }

    /// `answer` with the class that the participant's file gives to it, and otherwise as it is.
    #[must_use]
    pub fn classified(&self, mut answer: CommandAnswer) -> CommandAnswer {
        match &mut answer {
            CommandAnswer::Failed { failure, .. } | CommandAnswer::Unknown { failure, .. } => {
                failure.class = failure.class.map(|usual| self.class(failure, usual));
            }
            CommandAnswer::Succeeded { .. } | CommandAnswer::Ongoing { .. } | CommandAnswer::NotSent { .. } => {}
        }
        answer
    }

    fn class(&self, failure: &CommandFailure, usual: ErrorClass) -> ErrorClass {
        let found = self.patterns.iter().find(|(pattern, _)| fits(pattern, failure));
        found.map_or(usual, |(_, class)| *class)
    }

    fn handled(&self, failure: &CommandFailure, usual: RetryAdvice) -> RetryAdvice {
        match failure.class.and_then(|class| self.handling.get(&class)) {
            Some(FailureHandling::Retry) => RetryAdvice::Yes,
            Some(FailureHandling::Fail) => RetryAdvice::No,
            Some(FailureHandling::RetryThenPark) => RetryAdvice::ThenPark,
            None => usual,
        }
    }
}

fn fits(pattern: &FailurePattern, failure: &CommandFailure) -> bool {
    match pattern {
        FailurePattern::Code(code) => *code == failure.code,
        FailurePattern::Status(status) => failure.origin.status().is_some_and(|it| status.matches(it)),
    }
}

fn may_be_retried(answer: &CommandAnswer) -> bool {
    match answer {
        CommandAnswer::Failed { retry, .. } => *retry != RetryAdvice::No,
        CommandAnswer::Succeeded { .. }
        | CommandAnswer::Unknown { .. }
        | CommandAnswer::Ongoing { .. }
        | CommandAnswer::NotSent { .. } => false,
    }
}

fn in_doubt(answer: CommandAnswer) -> CommandAnswer {
    match answer {
        CommandAnswer::Failed { failure, retry: RetryAdvice::No, retry_after } => {
            CommandAnswer::Unknown { failure, retry: RetryAdvice::No, retry_after }
        }
        CommandAnswer::Failed {
            retry: RetryAdvice::Yes | RetryAdvice::Conflict | RetryAdvice::ThenPark | RetryAdvice::Park,
            ..
        }
        | CommandAnswer::Succeeded { .. }
        | CommandAnswer::Unknown { .. }
        | CommandAnswer::Ongoing { .. }
        | CommandAnswer::NotSent { .. } => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::{command::FailureOrigin, definition::participants::StatusPattern};

    fn classes() -> ErrorClassifier {
        ErrorClassifier {
            patterns: vec![
                (FailurePattern::Status(StatusPattern::Exactly(503)), ErrorClass::RateLimit),
                (FailurePattern::Status(StatusPattern::Class(5)), ErrorClass::ClientError),
                (FailurePattern::Code("OUT_OF_STOCK".into()), ErrorClass::Validation),
            ],
            handling: BTreeMap::from([
                (ErrorClass::RateLimit, FailureHandling::RetryThenPark),
                (ErrorClass::ClientError, FailureHandling::Fail),
                (ErrorClass::Validation, FailureHandling::Retry),
            ]),
        }
    }

    /// As HTTP's transport makes it: the code of a status is its number.
    fn failure(code: &str, class: ErrorClass) -> CommandFailure {
        let status = code.strip_prefix("http.").and_then(|status| status.parse().ok());
        CommandFailure::new(code, "").of_origin(FailureOrigin::Participant { status }).of_class(class)
    }

    #[test]
    fn a_code_that_looks_like_a_status_is_none() {
        let reply = CommandFailure::new("http.503", "").of_origin(FailureOrigin::REPLY);
        let answer = CommandAnswer::unknown(reply.of_class(ErrorClass::Unknown));
        assert_eq!(classes().applied(answer.clone()), answer, "a reply over Kafka has no status");
    }

    fn failed(code: &str, class: ErrorClass, retry: RetryAdvice) -> CommandAnswer {
        CommandAnswer::Failed { failure: failure(code, class), retry, retry_after: None }
    }

    fn unknown(code: &str, class: ErrorClass, retry: RetryAdvice) -> CommandAnswer {
        CommandAnswer::Unknown { failure: failure(code, class), retry, retry_after: None }
    }

    #[test]
    fn the_first_pattern_that_fits_names_the_class_and_its_handling_counts() {
        use ErrorClass::{ClientError, Network, RateLimit, ServerError, Validation};
        let table = [
            (unknown("http.503", ServerError, RetryAdvice::Yes), unknown("http.503", RateLimit, RetryAdvice::ThenPark)),
            (unknown("http.500", ServerError, RetryAdvice::Yes), unknown("http.500", ClientError, RetryAdvice::No)),
            (
                failed("OUT_OF_STOCK", ClientError, RetryAdvice::No),
                failed("OUT_OF_STOCK", Validation, RetryAdvice::Yes),
            ),
            (failed("http.404", ClientError, RetryAdvice::Yes), failed("http.404", ClientError, RetryAdvice::No)),
            (failed("connect", Network, RetryAdvice::Yes), failed("connect", Network, RetryAdvice::Yes)),
        ];
        for (answer, expected) in table {
            assert_eq!(classes().applied(answer), expected);
        }
    }

    #[test]
    fn no_handling_makes_certain_what_is_unknown() {
        for class in ErrorClass::ALL {
            let classes =
                ErrorClassifier { patterns: Vec::new(), handling: BTreeMap::from([(class, FailureHandling::Fail)]) };
            let answer = classes.applied(unknown("lost", class, RetryAdvice::Yes));
            assert_eq!(answer, unknown("lost", class, RetryAdvice::No));
        }
    }

    #[test]
    fn a_failure_of_our_own_stays_as_it_is() {
        let own = CommandAnswer::Failed {
            failure: CommandFailure::new("OUT_OF_STOCK", ""),
            retry: RetryAdvice::No,
            retry_after: None,
        };
        assert_eq!(classes().applied(own.clone()), own);
        let ongoing = CommandAnswer::Ongoing { ask_after: None, location: None };
        assert_eq!(classes().applied(ongoing.clone()), ongoing);
    }
}
