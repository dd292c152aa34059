//! Spans of a trace: what a saga tells of its course, by its journal alone.

use crate::given::{Saga, busy, declined, done, given, not_sent, seconds};
use saga_core::{
    event::OperatorAction,
    spans::{CommandDestination, SagaSpan, SpanKind, SpanValue, of_journal},
    state::SagaStatus,
};
use std::{collections::BTreeSet, sync::Arc};

const TWO: &str = "
retry: {attempts: 2, delay: 1s, jitter: none}
steps:
  - {step: reserve, do: stock.Reserve, undo: stock.Release}
  - {step: charge, do: POST bank/charges, undo: DELETE bank/charges/1}
";

fn spans(saga: &Saga) -> Vec<SagaSpan> {
    let destination_of = |participant: &str| match participant {
        "bank" => Some(CommandDestination::Server { host: "bank.test".into(), port: 8443 }),
        _ => Some(CommandDestination::Topic(Arc::from(format!("{participant}.commands")))),
    };
    of_journal(&saga.plan, saga.state.id, &saga.journal, &destination_of).expect("the journal folds")
}

/// `name (parent) error`, in the order in which they end.
fn told(saga: &Saga) -> Vec<String> {
    let spans = spans(saga);
    let name = |id| spans.iter().find(|span| Some(span.id) == id).map_or("-", |span| span.name.as_str());
    spans
        .iter()
        .map(|span| {
            let error = span.error.as_ref().map(|error| format!(" !{error}")).unwrap_or_default();
            format!("{} ({}){error}", span.name, name(span.parent))
        })
        .collect()
}

/// Whatever the saga's life was.
fn holds(saga: &Saga) {
    let spans = spans(saga);
    let ids: BTreeSet<u64> = spans.iter().map(|span| span.id.0).collect();
    assert_eq!(ids.len(), spans.len(), "{spans:#?}");
    for span in &spans {
        assert!(span.began <= span.ended, "{span:#?}");
        if saga.state.status() == SagaStatus::Completed {
            let is_known = |parent| ids.contains(&parent);
            assert!(span.parent.is_none_or(|parent| is_known(parent.0)), "{span:#?}");
        }
    }
}

#[test]
fn a_saga_has_its_steps_below_it_and_their_attempts_below_them() {
    let saga = given(TWO).when("reserve", done()).when_passed(seconds(2)).when("charge", done());
    assert_eq!(
        told(&saga),
        [
            "send stock.commands (do reserve)",
            "do reserve (saga test)",
            "POST charge (do charge)",
            "do charge (saga test)",
            "saga test (-)",
        ]
    );
    let spans = spans(&saga);
    assert_eq!(spans[0].kind, SpanKind::Producer);
    assert_eq!(spans[2].kind, SpanKind::Client);
    assert_eq!(spans[4].ended.0 - spans[4].began.0, 2_000);
    assert!(spans[4].attributes.contains(&("saga.status".into(), SpanValue::Text("completed".into()))));
    holds(&saga);
}

#[test]
fn a_saga_says_its_tags_and_leaves_out_what_has_no_value() {
    let tagged = format!("tags: {{plan: gold, order: \"${{ event.id }}\", charge: \"${{ steps.charge.id }}\"}}{TWO}");
    let saga = given(&tagged).when("reserve", done()).when("charge", done());
    let spans = spans(&saga);
    let whole = spans.last().expect("the saga's");
    let tags: Vec<_> = whole.attributes.iter().filter(|(name, _)| name.starts_with("saga.tag.")).collect();
    assert_eq!(
        tags,
        [
            &("saga.tag.plan".into(), SpanValue::Text("gold".into())),
            &("saga.tag.order".into(), SpanValue::Text("4711".into())),
        ]
    );
}

#[test]
fn attempts_are_siblings_and_the_failed_one_says_why() {
    let saga = given(TWO).when("reserve", busy()).when_due().when("reserve", done()).when("charge", done());
    assert_eq!(
        told(&saga)[..3],
        ["send stock.commands (do reserve) !busy", "send stock.commands (do reserve)", "do reserve (saga test)",]
    );
    let attempts = spans(&saga);
    assert_eq!(attempts[1].began.0 - attempts[0].ended.0, 1_000, "the retry delay is between them");
    assert!(attempts[1].attributes.contains(&("saga.attempt".into(), SpanValue::Number(2))));
    holds(&saga);
}

#[test]
fn the_way_back_is_a_span_that_links_to_its_cause() {
    let saga = given(TWO).when("reserve", done()).when("charge", declined()).when("undo reserve", done());
    assert_eq!(
        told(&saga)[2..],
        [
            "POST charge (do charge) !declined",
            "do charge (saga test) !declined",
            "send stock.commands (undo reserve)",
            "undo reserve (compensate)",
            "compensate (saga test)",
            "saga test (-) !declined",
        ]
    );
    let spans = spans(&saga);
    let (cause, back) = (&spans[3], &spans[6]);
    let called = spans.iter().find(|span| span.name == "POST charge").expect("the bank was called");
    assert!(called.attributes.contains(&("server.address".into(), SpanValue::Text("bank.test".into()))));
    assert!(called.attributes.contains(&("server.port".into(), SpanValue::Number(8443))));
    assert_eq!(back.links.iter().map(|link| link.span).collect::<Vec<_>>(), [cause.id]);
    holds(&saga);
}

#[test]
fn a_call_that_a_guard_took_back_is_no_attempt_and_the_wait_has_its_guard() {
    let saga = given(TWO).when("reserve", not_sent()).when_passed(seconds(3)).when("reserve", done());
    assert_eq!(
        told(&saga),
        ["wait bulkhead (do reserve)", "send stock.commands (do reserve)", "do reserve (-)"],
        "nothing is told of what has not ended"
    );
    let waited = &spans(&saga)[0];
    assert!(waited.ended.0 - waited.began.0 >= 3_000, "{waited:?}");
    holds(&saga);
}

#[test]
fn a_saga_that_stood_still_says_how_long() {
    let parked = "
retry: {attempts: 1}
onExhausted: park
steps: [{step: reserve, do: stock.Reserve, undo: stock.Release}]
";
    let saga = given(parked).when("reserve", busy());
    let saga = saga.when_passed(seconds(60)).when_operator(OperatorAction::Retry).when("reserve", done());
    let spans = spans(&saga);
    let stood = spans.iter().find(|span| span.name == "parked").expect("it stood still");
    assert_eq!(stood.ended.0 - stood.began.0, 60_000);
    let names: Vec<_> = spans.iter().filter(|span| span.name == "do reserve").collect();
    assert_eq!(names.len(), 2, "an operator's retry is another span");
    holds(&saga);
}
