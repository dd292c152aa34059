//! Spans of the engine in the form of OpenTelemetry's SDK.

use super::EndedSpans;
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{Link, SpanContext, SpanKind, Status, TraceFlags, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use saga_core::{
    spans::{self, SagaSpan, SpanAttribute, SpanLink, SpanValue},
    time::Timestamp,
    trace::{SpanId, TraceId},
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The semantic conventions by which attributes are named.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.45.0";

pub(super) fn spans((trace, ended): EndedSpans) -> impl Iterator<Item = SpanData> {
    ended.into_iter().map(move |span| converted(trace, span))
}

fn converted(trace: TraceId, span: SagaSpan) -> SpanData {
    let mut links = SpanLinks::default();
    links.links = span.links.into_iter().map(link).collect();
    SpanData {
        span_context: context(trace, span.id),
        parent_span_id: id(span.parent),
        parent_span_is_remote: span.is_parent_remote,
        span_kind: kind(span.kind),
        name: span.name.into(),
        start_time: time(span.began),
        end_time: time(span.ended),
        attributes: span.attributes.into_iter().map(attribute).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: span.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("saga")
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(SCHEMA)
            .build(),
    }
}

fn context(trace: TraceId, span: SpanId) -> SpanContext {
    let trace = opentelemetry::trace::TraceId::from_bytes(trace.0.to_be_bytes());
    SpanContext::new(trace, id(Some(span)), TraceFlags::SAMPLED, false, TraceState::default())
}

fn id(span: Option<SpanId>) -> opentelemetry::trace::SpanId {
    let bytes = span.map_or([0; 8], |span| span.0.to_be_bytes());
    opentelemetry::trace::SpanId::from_bytes(bytes)
}

fn kind(kind: spans::SpanKind) -> SpanKind {
    match kind {
        spans::SpanKind::Internal => SpanKind::Internal,
        spans::SpanKind::Client => SpanKind::Client,
        spans::SpanKind::Producer => SpanKind::Producer,
    }
}

fn link(link: SpanLink) -> Link {
    let attributes = link.attributes.into_iter().map(attribute).collect();
    Link::new(context(link.trace.trace, link.span), attributes, 0)
}

fn attribute((name, value): SpanAttribute) -> KeyValue {
    match value {
        SpanValue::Text(text) => KeyValue::new(name, text),
        SpanValue::Number(number) => KeyValue::new(name, number),
    }
}

fn time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or_default())
}
