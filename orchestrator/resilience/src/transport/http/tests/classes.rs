//! Of what class failures are.

use super::*;

#[tokio::test]
async fn every_status_is_of_the_class_that_the_table_says() {
    use ErrorClass::{ClientError, RateLimit, ServerError, Unknown, Validation};
    let table = [
        (Unknown, &[303][..]),
        (Validation, &[400, 413, 414, 415, 422]),
        (ClientError, &[401, 403, 404, 408, 409, 410, 451]),
        (RateLimit, &[429]),
        (ServerError, &[500, 503, 599]),
    ];
    for (class, statuses) in table {
        for status in statuses {
            let settings = answering(move |_| reply(*status, &[], "")).await;
            assert_eq!(class_of(&ask(&settings, &a_call()).await), Some(class), "{status}");
        }
    }
}

#[tokio::test]
async fn a_participant_s_file_moves_failures_to_classes_and_says_how_those_are_handled() {
    use saga_core::definition::participants::{FailureHandling, FailurePattern};
    let patterns = vec![(FailurePattern::Status(StatusPattern::Exactly(418)), ErrorClass::RateLimit)];
    let handling = std::collections::BTreeMap::from([
        (ErrorClass::RateLimit, FailureHandling::RetryThenPark),
        (ErrorClass::ServerError, FailureHandling::Fail),
    ]);
    let classes = crate::transport::ErrorClassifier { patterns, handling };
    let check = async |status: u16, fail_on: Vec<StatusPattern>| {
        let settings = answering(move |_| reply(status, &[(header::RETRY_AFTER, "7")], "")).await;
        ask(&HttpSettings { classes: classes.clone(), fail_on, ..settings }, &a_call()).await
    };
    let teapot =
        CommandFailure::new("http.418", "").of_origin(FailureOrigin::answer(418)).of_class(ErrorClass::RateLimit);
    let seven = Some(Duration::from_secs(7));
    let parked = CommandAnswer::Failed { failure: teapot.clone(), retry: RetryAdvice::ThenPark, retry_after: seven };
    assert_eq!(check(418, vec![]).await, parked);
    let said = CommandAnswer::Failed { failure: teapot, retry: RetryAdvice::No, retry_after: seven };
    assert_eq!(check(418, vec![StatusPattern::Exactly(418)]).await, said, "failOn wins");
    let broken =
        CommandFailure::new("http.500", "").of_origin(FailureOrigin::answer(500)).of_class(ErrorClass::ServerError);
    let in_doubt = CommandAnswer::Unknown { failure: broken, retry: RetryAdvice::No, retry_after: None };
    assert_eq!(check(500, vec![]).await, in_doubt, "no configuration but failOn makes it certain");
}
