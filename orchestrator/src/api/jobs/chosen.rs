//! The sagas that the filter of a job chooses.

use super::super::{
    errors::ApiError,
    saga_query::{self, SagaListQuery},
};
use saga_core::{event::OperatorAction, state::SagaStatus, time::Timestamp};
use saga_engine::journal::reading::SagaQuery;

/// The query of the sagas that `asked` chooses for `action`.
pub(super) fn by(asked: SagaListQuery, action: OperatorAction, now: Timestamp) -> Result<SagaQuery, ApiError> {
    let (blank, of_lists) = (asked.blank(), asked.of_lists());
    let wanted = saga_query::wanted(&asked.without_blanks(), now)?;
    if !wanted.chooses() {
        return Err(nothing());
    }
    if let Some(name) = blank {
        return Err(ApiError::BadValue(format!("`{name}` of the filter is empty: give it a value or remove it")));
    }
    if let Some(name) = of_lists {
        let all = "a job acts on all sagas that its filter chooses";
        return Err(ApiError::BadValue(format!("`{name}` is no part of a job's filter: {all}")));
    }
    meant(wanted, action)
}

/// A job without ids and without a filter would act on every saga.
pub(super) fn nothing() -> ApiError {
    let example = r#"{"status": "parked", "code": "http.422"}"#;
    ApiError::BadValue(format!(
        "the job names no sagas: give ids or keys in `sagas`, or choose sagas by a `filter`: {example}"
    ))
}

/// Sagas that have ended are never chosen, except to be erased. Retry and skip choose parked sagas, unless the filter
/// names a status or a guard.
fn meant(wanted: SagaQuery, action: OperatorAction) -> Result<SagaQuery, ApiError> {
    if action == OperatorAction::Erase {
        return ended_ones(wanted);
    }
    if let [status, ..] = wanted.statuses.as_slice()
        && wanted.statuses.iter().all(|status| status.is_terminal())
    {
        return Err(ended(*status));
    }
    let statuses = match action {
        OperatorAction::Retry | OperatorAction::Skip if wanted.statuses.is_empty() && wanted.waiting_on.is_none() => {
            vec![SagaStatus::Parked]
        }
        OperatorAction::Retry
        | OperatorAction::Skip
        | OperatorAction::Cancel
        | OperatorAction::Abandon
        | OperatorAction::Migrate
        | OperatorAction::Erase => wanted.statuses.clone(),
    };
    Ok(SagaQuery { statuses, only_open: true, ..wanted })
}

/// An erasure chooses among the sagas that have ended.
fn ended_ones(wanted: SagaQuery) -> Result<SagaQuery, ApiError> {
    let ends = || SagaStatus::ALL.into_iter().filter(|status| status.is_terminal());
    if let Some(open) = wanted.statuses.iter().find(|status| !status.is_terminal()) {
        let ends = ends().map(SagaStatus::as_str).collect::<Vec<_>>().join(", ");
        let told = format!("sagas that are {open} have not ended and are not erased: choose among {ends}");
        return Err(ApiError::BadValue(told));
    }
    let statuses = if wanted.statuses.is_empty() { ends().collect() } else { wanted.statuses.clone() };
    Ok(SagaQuery { statuses, ..wanted })
}

fn ended(status: SagaStatus) -> ApiError {
    let open = SagaStatus::OPEN.map(|status| status.as_str()).join(", ");
    ApiError::BadValue(format!("sagas that are {status} have ended and take no act: choose among {open}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{http::StatusCode, response::IntoResponse};
    use serde_json::{Value, json};

    fn chosen(filter: &Value, action: OperatorAction) -> Result<SagaQuery, String> {
        let asked = serde_json::from_value(filter.clone()).expect("a filter");
        by(asked, action, Timestamp(1_000_000_000)).map_err(|error| {
            let (message, status) = (format!("{error:?}"), error.into_response().status());
            assert_eq!(status, StatusCode::BAD_REQUEST, "{message}");
            message
        })
    }

    #[test]
    fn a_filter_that_chooses_nothing_is_no_order_to_act_on_everything() {
        for nothing in [
            json!({}),
            json!({"status": ""}),
            json!({"incidents": false}),
            json!({"limit": 5}),
            json!({"by": "status"}),
            json!({"before": "01a1fd79-2b8e-7002-908c-c8bc2b40dbf8"}),
            json!({"code": "", "saga": "", "definition": "", "step": " ", "waitingOn": "", "olderThan": ""}),
        ] {
            for action in [OperatorAction::Retry, OperatorAction::Abandon] {
                let said = chosen(&nothing, action).expect_err("nothing is chosen");
                assert!(said.contains("names no sagas"), "{nothing}: {said}");
            }
        }
    }

    #[test]
    fn a_blank_beside_what_chooses_is_a_slip_and_not_left_out() {
        let said = chosen(&json!({"status": "parked", "code": ""}), OperatorAction::Retry).expect_err("a blank");
        assert!(said.contains("`code` of the filter is empty"), "{said}");
        let said = chosen(&json!({"status": "parked", "limit": 5}), OperatorAction::Retry).expect_err("a limit");
        assert!(said.contains("`limit` is no part"), "{said}");
    }

    #[test]
    fn what_has_ended_takes_no_act_and_what_is_retried_is_parked_unless_it_is_said() {
        for (ended, name) in [("completed", "completed"), ("compensated,abandoned", "compensated")] {
            let said = chosen(&json!({"status": ended}), OperatorAction::Retry).expect_err("they have ended");
            assert!(said.contains(name) && said.contains("take no act") && said.contains("parked"), "{said}");
        }
        let statuses = |filter, action| chosen(&filter, action).expect("a choice").statuses;
        assert_eq!(statuses(json!({"code": "http.422"}), OperatorAction::Retry), [SagaStatus::Parked]);
        assert_eq!(statuses(json!({"waitingOn": "breaker:"}), OperatorAction::Retry), []);
        assert_eq!(
            statuses(json!({"status": "parked,completed"}), OperatorAction::Cancel),
            [SagaStatus::Parked, SagaStatus::Completed]
        );
    }
}
