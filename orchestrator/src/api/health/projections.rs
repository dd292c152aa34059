//! Projections that do not go on. No saga needs them, so they are a note of `/health/ready` and no reason.

use crate::api::census::StoreCount;
use saga_engine::{QueryHandle, projection::ProjectionView};
use saga_event_store::StoreError;
use serde_json::{Value, json};

/// The projections that do not go on, and why.
#[derive(Debug)]
pub(crate) struct FailedProjections(Vec<(String, String)>);

impl FailedProjections {
    fn of(views: Vec<ProjectionView>) -> FailedProjections {
        let problem = |it: ProjectionView| {
            let builds = [it.live, it.building].into_iter().flatten();
            builds.filter_map(|build| build.problem).next().map(|problem| (it.projection, problem))
        };
        FailedProjections(views.into_iter().filter_map(problem).collect())
    }

    /// In the answer of `/health/ready`; `None`: all go on.
    pub(super) fn shown(&self) -> Option<Value> {
        let shown = |(name, reason): &(String, String)| json!({"projection": name, "reason": reason});
        (!self.0.is_empty()).then(|| self.0.iter().map(shown).collect())
    }
}

impl StoreCount for FailedProjections {
    async fn count(query: &QueryHandle, _before: Option<&FailedProjections>) -> Result<FailedProjections, StoreError> {
        Ok(FailedProjections::of(query.projections().await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_engine::projection::BuildView;

    fn view(name: &str, problems: [Option<Option<&str>>; 2]) -> ProjectionView {
        let build = |problem: Option<&str>| BuildView {
            generation: 1,
            position: "1.1.1.0".into(),
            at: None,
            behind_ms: 0,
            reads_archives: None,
            left_out: Vec::new(),
            problem: problem.map(str::to_owned),
        };
        let [live, building] = problems.map(|it| it.map(build));
        ProjectionView { projection: name.into(), current: false, live, building }
    }

    #[test]
    fn a_projection_that_does_not_go_on_is_named_with_its_reason() {
        let failed = FailedProjections::of(vec![
            view("waiting", [Some(None), None]),
            view("outcomes", [Some(Some("the feed has no such row")), Some(None)]),
            view("stepDurations", [Some(None), Some(Some("a rule is broken"))]),
        ]);
        let expected = json!([
            {"projection": "outcomes", "reason": "the feed has no such row"},
            {"projection": "stepDurations", "reason": "a rule is broken"},
        ]);
        assert_eq!(failed.shown(), Some(expected));
        assert_eq!(FailedProjections::of(vec![view("waiting", [Some(None), None])]).shown(), None);
    }
}
