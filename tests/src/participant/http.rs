//! The participant over HTTP: any method, any path, and beside them `GET /health`, which is no call.

use super::{RecordedCall, ScriptedAnswer, ScriptedBehaviour, ScriptedDelivery, TestParticipant};
use crate::eventually::eventually;
use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing,
};
use serde_json::{Value, json};
use std::{
    future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpSocket,
    runtime::{Builder, Runtime},
};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// For the system to give back the port of a server that is gone.
const GONE: Duration = Duration::from_secs(10);

/// Answers until it is dropped or dies. It runs on a thread of its own: what the test is busy with does not make it
/// slow.
pub struct HttpParticipant {
    participant: TestParticipant,
    address: SocketAddr,
    unwell: Arc<AtomicBool>,
    serving: Option<Runtime>,
    /// Of one that is dead: nobody listens, and nobody else takes it.
    port: Option<TcpSocket>,
}

impl HttpParticipant {
    /// Serves on a free port of this machine.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(participant: TestParticipant) -> Result<HttpParticipant> {
        let port = bound_to(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = port.local_addr()?;
        let mut stopped =
            HttpParticipant { participant, address, unwell: Arc::default(), serving: None, port: Some(port) };
        stopped.revive()?;
        Ok(stopped)
    }

    /// Dies as a process does: its connections break, and its port refuses new ones until [`HttpParticipant::revive`].
    ///
    /// # Errors
    /// When the system does not give its port back.
    pub async fn die(&mut self) -> Result<()> {
        let Some(serving) = self.serving.take() else { return Ok(()) };
        serving.shutdown_background();
        let address = self.address;
        self.port = Some(eventually("the port is free", GONE, || async move { bound_to(address).map(Some) }).await?);
        Ok(())
    }

    /// Serves again where it was, with what it remembers.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn revive(&mut self) -> Result<()> {
        let Some(port) = self.port.take() else { return Ok(()) };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            port.listen(BACKLOG)?
        };
        let health = health(Arc::clone(&self.unwell));
        let router = Router::new().route("/health", health).fallback(answer).with_state(self.participant.clone());
        runtime.spawn(async move {
            axum::serve(listener, router).await.expect("axum's server does not end by itself");
        });
        self.serving = Some(runtime);
        Ok(())
    }

    /// What participants.yaml says: `http://127.0.0.1:…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What `GET /health` answers from now on: 503 instead of 204. Commands are performed all the same.
    pub fn say_unwell(&self, unwell: bool) {
        self.unwell.store(unwell, Ordering::SeqCst);
    }

    /// Its script and ledger.
    #[must_use]
    pub fn participant(&self) -> &TestParticipant {
        &self.participant
    }
}

impl Drop for HttpParticipant {
    fn drop(&mut self) {
        // To wait for it would block the test's own thread.
        self.serving.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

fn bound_to(address: SocketAddr) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn health(unwell: Arc<AtomicBool>) -> routing::MethodRouter<TestParticipant> {
    routing::get(move || {
        let unwell = unwell.load(Ordering::SeqCst);
        future::ready(if unwell { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT })
    })
}

async fn answer(
    State(participant): State<TestParticipant>,
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
    let call = RecordedCall {
        command: command.to_owned(),
        target: format!("{method} {}", uri.path().trim_start_matches('/')),
        body: body_of(query, &body),
        headers: headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect(),
    };
    let behaviour = participant.perform(call);
    match &behaviour.delivery {
        ScriptedDelivery::Once | ScriptedDelivery::Twice => {}
        ScriptedDelivery::Never => future::pending().await,
        ScriptedDelivery::Held(gate) => gate.pass().await,
    }
    response(&behaviour)
}

fn body_of(query: Option<String>, body: &[u8]) -> Value {
    match query {
        Some(query) => Value::String(query),
        None => serde_json::from_slice(body).unwrap_or(Value::Null),
    }
}

fn response(behaviour: &ScriptedBehaviour) -> Response {
    let with_json = |status: StatusCode, body: &Value| (status, [(CONTENT_TYPE, "application/json")], body.to_string());
    match &behaviour.answer {
        ScriptedAnswer::Succeeded(result) => with_json(StatusCode::OK, result).into_response(),
        ScriptedAnswer::Failed { code, message, retryable } => {
            let status = if *retryable { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::UNPROCESSABLE_ENTITY };
            with_json(status, &json!({"code": code, "message": message})).into_response()
        }
        ScriptedAnswer::Status(status) => {
            StatusCode::from_u16(*status).expect("a script names HTTP statuses").into_response()
        }
        ScriptedAnswer::Ongoing => StatusCode::TOO_EARLY.into_response(),
    }
}
