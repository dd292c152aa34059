//! The participant over HTTP: any method, any path.

use super::{Answer, Behaviour, Call, Delivery, Participant};
use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::{future, net::SocketAddr};
use tokio::{net::TcpListener, task::JoinHandle};

/// Answers until it is dropped.
pub struct HttpParticipant {
    participant: Participant,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl HttpParticipant {
    /// Serves on a free port of this machine.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(participant: Participant) -> Result<HttpParticipant> {
        HttpParticipant::start_at(participant, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Serves at `address`: one that was there before comes back.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_at(participant: Participant, address: SocketAddr) -> Result<HttpParticipant> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(answer).with_state(participant.clone());
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("axum's server does not end by itself");
        });
        Ok(HttpParticipant { participant, address, serving })
    }

    /// What participants.yaml says: `http://127.0.0.1:…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its script and ledger.
    #[must_use]
    pub fn participant(&self) -> &Participant {
        &self.participant
    }
}

impl Drop for HttpParticipant {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    State(participant): State<Participant>,
    method: Method,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(command) = headers.get("idempotency-key").and_then(|value| value.to_str().ok()) else {
        return (StatusCode::BAD_REQUEST, "no Idempotency-Key").into_response();
    };
    let text = |value: &axum::http::HeaderValue| value.to_str().ok().map(str::to_owned);
    let call = Call {
        command: command.to_owned(),
        target: format!("{method} {}", uri.path().trim_start_matches('/')),
        body: body_of(query, &body),
        headers: headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect(),
    };
    let behaviour = participant.perform(call);
    match &behaviour.delivery {
        Delivery::Once | Delivery::Twice => {}
        Delivery::Never => future::pending().await,
        Delivery::Held(gate) => gate.pass().await,
    }
    response(&behaviour)
}

fn body_of(query: Option<String>, body: &[u8]) -> Value {
    match query {
        Some(query) => Value::String(query),
        None => serde_json::from_slice(body).unwrap_or(Value::Null),
    }
}

fn response(behaviour: &Behaviour) -> Response {
    let with_json = |status: StatusCode, body: &Value| (status, [(CONTENT_TYPE, "application/json")], body.to_string());
    match &behaviour.answer {
        Answer::Succeeded(result) => with_json(StatusCode::OK, result).into_response(),
        Answer::Failed { code, message, retryable } => {
            let status = if *retryable { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::UNPROCESSABLE_ENTITY };
            with_json(status, &json!({"code": code, "message": message})).into_response()
        }
        Answer::Status(status) => StatusCode::from_u16(*status).expect("a script names HTTP statuses").into_response(),
        Answer::Ongoing => StatusCode::TOO_EARLY.into_response(),
    }
}
