//! Classes of failures where a participant's file says otherwise: the same for HTTP and Kafka.

use saga_core::{
    command::{Answer, ErrorClass, Failure, Retryable},
    definition::participants::{FailurePattern, Handling, Participant},
};
use std::collections::BTreeMap;

/// What a participant's `errors` say. By default nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classes {
    /// The first that fits counts.
    pub patterns: Vec<(FailurePattern, ErrorClass)>,
    /// What becomes of the failures of a class.
    pub handling: BTreeMap<ErrorClass, Handling>,
}

impl Classes {
    /// Those of `participant`.
    #[must_use]
    pub fn of(participant: &Participant) -> Classes {
        Classes { patterns: participant.classes.clone(), handling: participant.handling.clone() }
    }

    /// `answer` with the class and the handling that the participant's file gives to it. What is certain stays certain and what is unknown
    /// stays unknown: only whether it is tried again changes. Failures without a class are our own, and stay as they are.
    #[must_use]
    pub fn applied(&self, answer: Answer) -> Answer {
        let classified = self.classified(answer);
        match classified {
            Answer::Failed { failure, retry, retry_after } => {
                let retry = self.handled(&failure, retry);
                Answer::Failed { failure, retry, retry_after }
            }
            Answer::Unknown { failure, retry, retry_after } => {
                let retry = self.handled(&failure, retry);
                Answer::Unknown { failure, retry, retry_after }
            }
            Answer::Succeeded { .. } | Answer::Ongoing { .. } | Answer::NotSent { .. } => classified,
        }
    }

    /// The same of an attempt that had left before: that its failure is not tried again does not make certain what the earlier sending did.
    #[must_use]
    pub fn applied_to_repeated(&self, answer: Answer) -> Answer {
        let said_nothing_of_before = may_be_retried(&answer);
        let applied = self.applied(answer);
        if said_nothing_of_before { in_doubt(applied) } else { applied }
    }

    /// `answer` with the class that the participant's file gives to it, and otherwise as it is.
    #[must_use]
    pub fn classified(&self, mut answer: Answer) -> Answer {
        match &mut answer {
            Answer::Failed { failure, .. } | Answer::Unknown { failure, .. } => {
                failure.class = failure.class.map(|usual| self.class(&failure.code, usual));
            }
            Answer::Succeeded { .. } | Answer::Ongoing { .. } | Answer::NotSent { .. } => {}
        }
        answer
    }

    fn class(&self, code: &str, usual: ErrorClass) -> ErrorClass {
        let found = self.patterns.iter().find(|(pattern, _)| fits(pattern, code));
        found.map_or(usual, |(_, class)| *class)
    }

    fn handled(&self, failure: &Failure, usual: Retryable) -> Retryable {
        match failure.class.and_then(|class| self.handling.get(&class)) {
            Some(Handling::Retry) => Retryable::Yes,
            Some(Handling::Fail) => Retryable::No,
            Some(Handling::RetryThenPark) => Retryable::ThenPark,
            None => usual,
        }
    }
}

/// The code of a failure by status is `http.409`.
fn fits(pattern: &FailurePattern, code: &str) -> bool {
    match pattern {
        FailurePattern::Code(meant) => meant == code,
        FailurePattern::Status(status) => {
            code.strip_prefix("http.").and_then(|status| status.parse().ok()).is_some_and(|it| status.matches(it))
        }
    }
}

fn may_be_retried(answer: &Answer) -> bool {
    match answer {
        Answer::Failed { retry, .. } => *retry != Retryable::No,
        Answer::Succeeded { .. } | Answer::Unknown { .. } | Answer::Ongoing { .. } | Answer::NotSent { .. } => false,
    }
}

fn in_doubt(answer: Answer) -> Answer {
    match answer {
        Answer::Failed { failure, retry: Retryable::No, retry_after } => {
            Answer::Unknown { failure, retry: Retryable::No, retry_after }
        }
        Answer::Failed { retry: Retryable::Yes | Retryable::Conflict | Retryable::ThenPark, .. }
        | Answer::Succeeded { .. }
        | Answer::Unknown { .. }
        | Answer::Ongoing { .. }
        | Answer::NotSent { .. } => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::definition::participants::Status;

    fn classes() -> Classes {
        Classes {
            patterns: vec![
                (FailurePattern::Status(Status::Exactly(503)), ErrorClass::RateLimit),
                (FailurePattern::Status(Status::Class(5)), ErrorClass::ClientError),
                (FailurePattern::Code("OUT_OF_STOCK".into()), ErrorClass::Validation),
            ],
            handling: BTreeMap::from([
                (ErrorClass::RateLimit, Handling::RetryThenPark),
                (ErrorClass::ClientError, Handling::Fail),
                (ErrorClass::Validation, Handling::Retry),
            ]),
        }
    }

    fn failed(code: &str, class: ErrorClass, retry: Retryable) -> Answer {
        Answer::Failed { failure: Failure::new(code, "").of_class(class), retry, retry_after: None }
    }

    fn unknown(code: &str, class: ErrorClass, retry: Retryable) -> Answer {
        Answer::Unknown { failure: Failure::new(code, "").of_class(class), retry, retry_after: None }
    }

    #[test]
    fn the_first_pattern_that_fits_names_the_class_and_its_handling_counts() {
        use ErrorClass::{ClientError, Network, RateLimit, ServerError, Validation};
        let table = [
            (unknown("http.503", ServerError, Retryable::Yes), unknown("http.503", RateLimit, Retryable::ThenPark)),
            (unknown("http.500", ServerError, Retryable::Yes), unknown("http.500", ClientError, Retryable::No)),
            (failed("OUT_OF_STOCK", ClientError, Retryable::No), failed("OUT_OF_STOCK", Validation, Retryable::Yes)),
            (failed("http.404", ClientError, Retryable::Yes), failed("http.404", ClientError, Retryable::No)),
            (failed("connect", Network, Retryable::Yes), failed("connect", Network, Retryable::Yes)),
        ];
        for (answer, expected) in table {
            assert_eq!(classes().applied(answer), expected);
        }
    }

    #[test]
    fn no_handling_makes_certain_what_is_unknown() {
        for class in ErrorClass::ALL {
            let classes = Classes { patterns: Vec::new(), handling: BTreeMap::from([(class, Handling::Fail)]) };
            let answer = classes.applied(unknown("lost", class, Retryable::Yes));
            assert_eq!(answer, unknown("lost", class, Retryable::No));
        }
    }

    #[test]
    fn a_failure_of_our_own_stays_as_it_is() {
        let own = Answer::Failed { failure: Failure::new("OUT_OF_STOCK", ""), retry: Retryable::No, retry_after: None };
        assert_eq!(classes().applied(own.clone()), own);
        let ongoing = Answer::Ongoing { ask_after: None, location: None };
        assert_eq!(classes().applied(ongoing.clone()), ongoing);
    }
}
