//! The sample participants that are called over HTTP: `/payments/…` and `/travel/…` on one port.

use super::{Command, Memory, Verdict};
use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    serve::ListenerExt,
};
use percent_encoding::percent_decode_str;
use saga_core::id::CommandId;
use serde_json::Value;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// The largest request: far above what the shipped sagas send.
const BODY_BYTES: usize = 1024 * 1024;
/// How long a request that is never answered stays open: whoever asked has long given up.
const SILENCE: Duration = Duration::from_secs(30);

/// Serves until it is dropped.
#[derive(Debug)]
pub(super) struct Listening {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Listening {
    pub(super) async fn start(memory: Arc<Memory>) -> anyhow::Result<Listening> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port for the participants")?;
        let address = listener.local_addr()?;
        let routes = Router::new().fallback(answer).layer(DefaultBodyLimit::max(BODY_BYTES)).with_state(memory);
        let serving = tokio::spawn(async move {
            // Ends with the process only: a connection that breaks ends alone.
            drop(axum::serve(listener.tap_io(without_delay), routes).await);
        });
        Ok(Listening { address, serving })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Small answers must not wait for an acknowledgement of the one before.
fn without_delay(stream: &mut tokio::net::TcpStream) {
    drop(stream.set_nodelay(true));
}

async fn answer(
    State(memory): State<Arc<Memory>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let Some(id) = key.and_then(|key| key.parse::<CommandId>().ok()) else {
        return (StatusCode::BAD_REQUEST, "the header Idempotency-Key names no command\n").into_response();
    };
    let path = percent_decode_str(uri.path().trim_start_matches('/')).decode_utf8_lossy();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    match memory.hear(&Command { id, target: format!("{method} {path}"), body }).await {
        Some(verdict) => response(&verdict),
        None => {
            tokio::time::sleep(SILENCE).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
    }
}

fn response(verdict: &Verdict) -> Response {
    match verdict {
        Verdict::Done(result) => ([(CONTENT_TYPE, "application/json")], result.to_string()).into_response(),
        Verdict::Declined { code, message } => {
            (StatusCode::UNPROCESSABLE_ENTITY, format!("{code}: {message}")).into_response()
        }
    }
}
