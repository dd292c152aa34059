//! The page of what was done: acts of operators, deployments and reloads.

use super::{
    super::{
        ApiState,
        audit::{AuditQuery, request_of},
        errors::ApiError,
        request, saga_query,
    },
    page,
};
use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use saga_engine::replay::audit::{AuditEntry, AuditTarget};

/// Acts on one page.
const LINES: u32 = 50;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    who: String,
    on: String,
    since: String,
    action: String,
    entries: Vec<AuditEntry>,
    /// Records that cannot be read.
    unreadable: Vec<String>,
    /// The query of the next page, if there is one.
    next: Option<String>,
}

impl AuditPage {
    fn is_everything(&self) -> bool {
        [&self.who, &self.on, &self.since, &self.action].iter().all(|text| text.is_empty())
    }

    /// What came of an act on a dead letter.
    fn result_text<'a>(&self, result: &'a Option<String>) -> &'a str {
        result.as_deref().unwrap_or_default()
    }

    /// The texts of participants.yaml before and after a reload.
    fn hashes(&self, before: &Option<String>, now: &Option<String>) -> String {
        let told = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "no text".to_owned());
        format!("{} → {}", told(before), told(now))
    }
}

pub(crate) async fn audit(
    State(backend): State<ApiState>,
    asked: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = request::checked(asked)?.without_blanks();
    let asked = AuditQuery { limit: Some(asked.limit.unwrap_or(LINES)), ..asked };
    let report = backend.query.audit(&request_of(&asked, backend.query.now())?).await?;
    let limit = asked.limit.map(|limit| limit.to_string());
    let next = report.next.map(|place| {
        let place = place.to_string();
        let filters = [
            ("who", asked.who.as_deref()),
            ("on", asked.on.as_deref()),
            ("since", asked.since.as_deref()),
            ("action", asked.action.as_deref()),
        ];
        saga_query::query(filters.into_iter().chain([("limit", limit.as_deref()), ("after", Some(place.as_str()))]))
    });
    let text = |text: Option<String>| text.unwrap_or_default();
    Ok(page(&AuditPage {
        who: text(asked.who),
        on: text(asked.on),
        since: text(asked.since),
        action: text(asked.action),
        entries: report.entries,
        unreadable: report.unreadable,
        next,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::act_author::ActOrigin;
    use serde_json::json;

    fn entry(on: AuditTarget, action: &str) -> AuditEntry {
        AuditEntry {
            at: "2026-11-21T09:38:59.086Z".into(),
            who: "anna <script>".into(),
            action: action.into(),
            reason: "they migrate".into(),
            on,
            id: "7".into(),
            origin: ActOrigin { token: Some("key:ops".into()), ..ActOrigin::default() },
            before: json!({"status": "parked", "step": "charge"}),
            after: json!({"status": "running"}),
        }
    }

    #[test]
    fn each_act_names_what_it_was_done_to_and_text_of_strangers_is_escaped() {
        let saga = AuditTarget::Saga { id: "01a1".into(), key: "o-2".into(), version: 4 };
        let file = "participants.yaml".to_owned();
        let participants = AuditTarget::Participants { file, before: Some("aa".into()), now: None };
        let shown = AuditPage {
            who: "anna\" x".into(),
            on: String::new(),
            since: String::new(),
            action: String::new(),
            entries: vec![
                entry(saga, "retry"),
                entry(AuditTarget::Participant { name: "payments".into() }, "guard open"),
                entry(AuditTarget::Definition { name: "order".into(), definition: "53ac".into() }, "store definition"),
                entry(participants, "refuse participants"),
            ],
            unreadable: Vec::new(),
            next: Some("after=1".into()),
        };
        let html = shown.render().expect("a page");
        for part in [
            "href=\"/sagas/01a1?at=4\">o-2</a>",
            "href=\"/guards\">payments</a>",
            "title=\"53ac\">order</span>",
            "aa → no text",
            "parked, charge → running",
            "key:ops",
            "href=\"/audit?after=1\">older acts</a>",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
        assert!(!html.contains("anna <script>") && !html.contains("anna\" x"), "{html}");
    }
}
