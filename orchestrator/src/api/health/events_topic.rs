//! The topic of all events, as JSON and as a metric.

use saga_engine::events_topic::EventsTopicView;
use saga_resilience::json_format::millis;
use serde_json::{Value, json};

/// The topic in the answer of `/health/ready`.
pub(super) fn shown(view: &EventsTopicView) -> Value {
    let mut shown = json!({"topic": &*view.topic, "behindMs": millis(view.behind)});
    if let Some(problem) = &view.problem {
        shown["problem"] = json!(problem);
    }
    shown
}

/// For `/metrics`: the state at the time of the scrape. `None`: another engine writes to the topic, or nobody.
pub(super) fn measure(view: Option<&EventsTopicView>) {
    let behind = view.map_or(0.0, |view| view.behind.as_secs_f64());
    metrics::gauge!("saga_events_topic_behind_seconds").set(behind);
}
