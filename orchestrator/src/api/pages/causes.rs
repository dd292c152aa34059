//! The page of causes: why sagas do not go on, and acts on all sagas with one cause.

use super::{
    super::{ApiState, saga_query::SagaListQuery},
    page, says,
};
use askama::Template;
use axum::{extract::State, response::Response};
use saga_core::{event::OperatorAction, state::SagaStatus};
use saga_engine::{QueryHandle, journal::counts::SagaGroup};
use saga_resilience::registry::blocking_guard::BlockingGuardView;
use serde_json::json;

/// Causes on the page: those with most sagas.
const MOST_SHOWN: usize = 200;

#[derive(Template)]
#[template(path = "causes.html")]
struct CausesPage {
    causes: Vec<DelayCauseCard>,
    /// Number of causes that are not shown.
    more: usize,
    /// The store has not answered yet.
    is_counting: bool,
}

struct DelayCauseCard {
    group: SagaGroup,
    /// State of the guards that hold them back, on this engine.
    held_by: Vec<BlockingGuardView>,
    asked: SagaListQuery,
}

impl DelayCauseCard {
    fn of(group: &SagaGroup, query: &QueryHandle) -> DelayCauseCard {
        let held_by = query.blocking_guards(&group.waiting_on);
        DelayCauseCard { held_by, asked: SagaListQuery::of(group), group: group.clone() }
    }

    fn status(&self) -> &str {
        self.group.status.as_deref().unwrap_or_default()
    }

    /// The cause in a few words, for the title of an act.
    fn name(&self) -> String {
        let SagaGroup { saga, step, code, waiting_on, .. } = &self.group;
        let words = [saga, step, code].into_iter().flatten().chain(waiting_on);
        words.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Acts for all sagas of the cause. The dry run shows which of them accept the act.
    fn acts(&self) -> Vec<OperatorAction> {
        use OperatorAction::{Abandon, Cancel, Retry, Skip};
        match self.status().parse() {
            Ok(SagaStatus::Parked) if self.group.step.is_some() => vec![Retry, Skip, Cancel, Abandon],
            Ok(SagaStatus::Parked) => vec![Retry, Cancel, Abandon],
            Ok(SagaStatus::Waiting) => vec![Retry, Cancel, Abandon],
            Ok(SagaStatus::Compensating) => vec![Retry, Abandon],
            Ok(SagaStatus::Running | SagaStatus::Completed | SagaStatus::Compensated | SagaStatus::Abandoned)
            | Err(_) => Vec::new(),
        }
    }

    fn says(&self, act: &OperatorAction) -> &'static str {
        says(*act)
    }

    /// The fields of a job, without who and reason.
    fn body_of(&self, act: &OperatorAction) -> String {
        let mut body = json!({"action": act.as_str(), "filter": self.asked.filter()});
        if *act == OperatorAction::Skip {
            body["step"] = json!(self.group.step);
        }
        body.to_string()
    }
}

pub(crate) async fn causes(State(backend): State<ApiState>) -> Response {
    let counted = backend.causes.now().await;
    let groups = counted.as_ref().map_or(&[] as &[SagaGroup], |counted| counted.0.as_slice());
    let causes = groups.iter().take(MOST_SHOWN).map(|group| DelayCauseCard::of(group, &backend.query)).collect();
    let more = groups.len().saturating_sub(MOST_SHOWN);
    page(&CausesPage { causes, more, is_counting: counted.is_none() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_can_be_tried_again_at_once_and_what_has_ended_takes_nothing() {
        let acts = |status: SagaStatus| {
            let group = SagaGroup { status: Some(status.to_string()), ..SagaGroup::default() };
            DelayCauseCard { held_by: Vec::new(), asked: SagaListQuery::of(&group), group }.acts()
        };
        for waits in [SagaStatus::Waiting, SagaStatus::Compensating, SagaStatus::Parked] {
            assert_eq!(acts(waits).first(), Some(&OperatorAction::Retry), "{waits}");
        }
        assert!(
            [SagaStatus::Completed, SagaStatus::Compensated, SagaStatus::Abandoned]
                .into_iter()
                .all(|it| acts(it).is_empty())
        );
    }
}
