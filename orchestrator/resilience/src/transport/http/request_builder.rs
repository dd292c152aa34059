//! From a recorded request to bytes on the wire.

use super::{HttpParticipantClient, client::OutboundRequest, endpoints::PickedEndpoint};
use crate::transport::ParticipantCall;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use saga_contract::{headers as names, idempotency_uuid};
use saga_core::{
    command::{CommandFailure, CommandRequest, HttpMethod},
    definition::participants::IdempotencyKeyFormat,
    trace,
};
use serde_json::Value;
use url::Url;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static(names::HTTP_IDEMPOTENCY_KEY);
/// The command id, where the idempotency key is derived from it.
const COMMAND_ID: HeaderName = HeaderName::from_static(names::HTTP_COMMAND_ID);
const REQUEST_ID: HeaderName = HeaderName::from_static(names::HTTP_REQUEST_ID);
const CORRELATION_ID: HeaderName = HeaderName::from_static(names::HTTP_CORRELATION_ID);
const TRACEPARENT: HeaderName = HeaderName::from_static(names::TRACEPARENT);
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The HTTP request of one attempt, to the endpoint that was picked for it; one that asks at a location needs none. A
/// failure is one of the definition: no attempt can succeed.
pub(super) fn build(
    participant: &HttpParticipantClient,
    call: &ParticipantCall,
    picked: Option<&PickedEndpoint>,
) -> Result<OutboundRequest, CommandFailure> {
    let mut request = match (&call.location, &*call.request) {
        (Some(location), _) => ask(participant, location)?,
        (None, CommandRequest::Http { method, path, body, .. }) => {
            let url = picked.and_then(|picked| picked.url(path)).ok_or_else(|| no_path(path))?;
            perform(url, *method, body.as_ref())?
        }
        (None, CommandRequest::Kafka { .. } | CommandRequest::Publish { .. }) => {
            return Err(CommandFailure::new(
                "request.transport",
                "the participant is called over HTTP, the request is a record",
            ));
        }
    };
    let headers = &mut request.headers;
    headers.extend(participant.headers.clone());
    let id = call.id.to_string();
    match participant.key {
        IdempotencyKeyFormat::CommandId => drop(headers.insert(IDEMPOTENCY_KEY, header(&id)?)),
        IdempotencyKeyFormat::Uuid => {
            headers.insert(IDEMPOTENCY_KEY, header(&idempotency_uuid(&id).to_string())?);
            headers.insert(COMMAND_ID, header(&id)?);
        }
    }
    headers.insert(REQUEST_ID, header(&format!("{id}:{}", call.attempt))?);
    headers.insert(CORRELATION_ID, header(&call.saga.to_string())?);
    if let Some(traceparent) = &call.traceparent {
        headers.insert(TRACEPARENT, header(traceparent)?);
    }
    for (name, value) in &call.passed_on {
        headers.insert(HeaderName::from_static(name_in_requests(name)), header(value)?);
    }
    Ok(request)
}

/// A request has a request id and a correlation id of its own, which name the attempt and the saga.
fn name_in_requests(name: &'static str) -> &'static str {
    match name {
        trace::REQUEST_ID => names::HTTP_ORIGIN_REQUEST_ID,
        trace::CORRELATION_ID => names::HTTP_ORIGIN_CORRELATION_ID,
        other => other,
    }
}

fn ask(participant: &HttpParticipantClient, location: &str) -> Result<OutboundRequest, CommandFailure> {
    let url = participant.endpoints.located(location).ok_or_else(|| {
        CommandFailure::new("request.location", format!("`{location}` is at no endpoint of the participant"))
    })?;
    Ok(OutboundRequest::new(hyper::Method::GET, url))
}

fn no_path(path: &str) -> CommandFailure {
    CommandFailure::new("request.path", format!("`{path}` is not a path below the URL of the participant"))
}

fn perform(mut url: Url, method: HttpMethod, body: Option<&Value>) -> Result<OutboundRequest, CommandFailure> {
    let method = match method {
        HttpMethod::Get => hyper::Method::GET,
        HttpMethod::Post => hyper::Method::POST,
        HttpMethod::Put => hyper::Method::PUT,
        HttpMethod::Patch => hyper::Method::PATCH,
        HttpMethod::Delete => hyper::Method::DELETE,
    };
    let Some(body) = body else { return Ok(OutboundRequest::new(method, url)) };
    if matches!(method, hyper::Method::GET | hyper::Method::DELETE) {
        append_query(&mut url, body)?;
        return Ok(OutboundRequest::new(method, url));
    }
    let mut request = OutboundRequest::new(method, url);
    request.headers.insert(CONTENT_TYPE, JSON);
    request.body = body.to_string().into();
    Ok(request)
}

/// One pair a member, in the order of their names; members of a list repeat the name, `null` is left out, objects are
/// JSON text.
fn append_query(url: &mut Url, body: &Value) -> Result<(), CommandFailure> {
    let Value::Object(members) = body else {
        return Err(CommandFailure::new(
            "request.query",
            format!("the body of GET and DELETE is an object, found `{body}`"),
        ));
    };
    if members.is_empty() {
        return Ok(());
    }
    let mut pairs = url.query_pairs_mut();
    for (name, value) in members {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                std::slice::from_ref(value)
            }
        };
        for value in values.iter().filter(|value| !value.is_null()) {
            match value.as_str() {
                Some(text) => pairs.append_pair(name, text),
                None => pairs.append_pair(name, &value.to_string()),
            };
        }
    }
    Ok(())
}

fn header(value: &str) -> Result<HeaderValue, CommandFailure> {
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| CommandFailure::new("request.header", format!("`{value}` cannot be the value of a header")))
}
