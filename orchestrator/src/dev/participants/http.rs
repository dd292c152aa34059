//! The sample participants that are called over HTTP: `/payments/…` and `/travel/…` on one port.

use super::SampleAnswerStore;
use anyhow::Context;
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    serve::ListenerExt,
};
use percent_encoding::percent_decode_str;
use saga_participant::{ParticipantAnswer, http::CommandExtractor};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// The largest request: far above what the shipped sagas send.
const BODY_BYTES: usize = 1024 * 1024;
/// How long a request without an answer stays open: longer than any caller waits.
const SILENCE: Duration = Duration::from_secs(30);

/// Serves until it is dropped.
#[derive(Debug)]
pub(super) struct SampleHttpServer {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl SampleHttpServer {
    pub(super) async fn start(memory: Arc<SampleAnswerStore>) -> anyhow::Result<SampleHttpServer> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port for the participants")?;
        let address = listener.local_addr()?;
        let routes = Router::new().fallback(answer).layer(DefaultBodyLimit::max(BODY_BYTES)).with_state(memory);
        let serving = tokio::spawn(async move {
            // Ends with the process only: a connection that breaks ends alone.
            drop(axum::serve(listener.tap_io(without_delay), routes).await);
        });
        Ok(SampleHttpServer { address, serving })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SampleHttpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Small answers must not wait for an acknowledgement of the one before.
fn without_delay(stream: &mut tokio::net::TcpStream) {
    drop(stream.set_nodelay(true));
}

async fn answer(
    State(memory): State<Arc<SampleAnswerStore>>,
    CommandExtractor(mut command): CommandExtractor,
) -> Response {
    command.name = percent_decode_str(&command.name).decode_utf8_lossy().into_owned();
    match memory.hear(command).await {
        Some(answer) => response(answer),
        None => {
            tokio::time::sleep(SILENCE).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
    }
}

/// A refusal as a line of text: the body becomes the failure's message, which people watch here.
fn response(answer: ParticipantAnswer) -> Response {
    match answer {
        ParticipantAnswer::Failed { code, message, retryable: false } => {
            (StatusCode::UNPROCESSABLE_ENTITY, format!("{code}: {message}")).into_response()
        }
        ParticipantAnswer::Succeeded(_) | ParticipantAnswer::Failed { .. } | ParticipantAnswer::Ongoing => {
            answer.into_response()
        }
    }
}
