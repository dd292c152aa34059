//! The API during the start: the process is live and not ready, and the answers say what the start waits for.

use super::{errors::ApiError, health};
use crate::readiness::EngineReadiness;
use axum::{Router, extract::State, middleware, response::Response, routing::get};
use std::sync::Arc;
use tokio::sync::watch;

pub(super) fn routes(readiness: watch::Receiver<EngineReadiness>) -> Router {
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(ready))
        .fallback(not_yet)
        .layer(middleware::from_fn(super::pages::errors_as_pages))
        .layer(middleware::map_response(super::with_security_headers))
        .with_state(readiness)
}

async fn ready(State(readiness): State<watch::Receiver<EngineReadiness>>) -> Response {
    health::starting(waiting_for(&readiness).as_deref())
}

async fn not_yet(State(readiness): State<watch::Receiver<EngineReadiness>>) -> ApiError {
    ApiError::Starting(waiting_for(&readiness))
}

fn waiting_for(readiness: &watch::Receiver<EngineReadiness>) -> Option<Arc<str>> {
    match &*readiness.borrow() {
        EngineReadiness::Starting { waiting_for } => waiting_for.clone(),
        EngineReadiness::Ready | EngineReadiness::Stopping => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use serde_json::Value;
    use std::net::SocketAddr;

    async fn get(address: SocketAddr, path: &str) -> (StatusCode, Value) {
        saga_resilience::transport::install_tls();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.get(format!("http://{address}{path}")).send().await.expect("somebody listens");
        let status = answer.status();
        (status, serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON"))
    }

    async fn listening(waiting_for: Option<&str>) -> (super::super::ApiServer, watch::Sender<EngineReadiness>) {
        let (readiness, seen) = watch::channel(EngineReadiness::Starting { waiting_for: waiting_for.map(Arc::from) });
        let server = super::super::start(SocketAddr::from(([127, 0, 0, 1], 0)), None, seen).await.expect("a free port");
        (server, readiness)
    }

    #[tokio::test]
    async fn an_engine_that_waits_lives_and_says_for_what() {
        let (server, _readiness) = listening(Some("the event store")).await;
        assert_eq!(get(server.address, "/health/live").await.0, StatusCode::OK);
        let (status, body) = get(server.address, "/health/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((&body["status"], &body["waitingFor"]), (&"starting".into(), &"the event store".into()));
        assert!(body["reasons"][0].as_str().is_some_and(|reason| reason.contains("the event store")), "{body}");
    }

    #[tokio::test]
    async fn everything_else_is_answered_in_the_shape_of_the_api() {
        let (server, readiness) = listening(Some("Kafka")).await;
        let (status, body) = get(server.address, "/api/sagas").await;
        assert_eq!((status, &body["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"starting".into()));
        assert!(body["detail"].as_str().is_some_and(|message| message.contains("Kafka")), "{body}");
        readiness.send_replace(EngineReadiness::Starting { waiting_for: None });
        let (_, body) = get(server.address, "/api/sagas").await;
        assert_eq!(body["detail"], "the engine is starting");
    }

    #[tokio::test]
    async fn every_answer_has_the_ids_of_its_request() {
        let (server, _readiness) = listening(None).await;
        saga_resilience::transport::install_tls();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let asked = client.get(format!("http://{}/api/sagas", server.address)).header("x-request-id", "r-1");
        let answer = asked.header("x-trace-id", "a trace").send().await.expect("somebody listens");
        let header = |name: &str| answer.headers()[name].to_str().expect("a text").to_owned();
        assert_eq!((header("x-request-id"), header("x-correlation-id")), ("r-1".to_owned(), "r-1".to_owned()));
        assert_eq!(header("x-trace-id").len(), 32, "what is no id is replaced");
        assert_eq!(header("content-type"), "application/problem+json");
        let body: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        assert_eq!((&body["instance"], &body["type"]), (&"urn:request:r-1".into(), &"/help/errors/starting".into()));
        assert_eq!((&body["status"], &body["title"]), (&503.into(), &"The engine starts".into()));
    }

    #[tokio::test]
    async fn a_browser_gets_a_page() {
        let (server, _readiness) = listening(Some("<Kafka>")).await;
        saga_resilience::transport::install_tls();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let asked = client.get(format!("http://{}/", server.address)).header("accept", "text/html,*/*;q=0.8");
        let answer = asked.send().await.expect("somebody listens");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let header = |name: &str| answer.headers()[name].to_str().expect("a text").to_owned();
        assert!(
            header("content-type").starts_with("text/html") && header("content-security-policy").contains("'none'")
        );
        assert_eq!((header("cache-control"), header("x-content-type-options")), ("no-store".into(), "nosniff".into()));
        let page = answer.text().await.expect("a body");
        assert!(page.contains("waits for") && !page.contains("<Kafka>"), "{page}");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_at_once() {
        let (server, readiness) = listening(None).await;
        let second = super::super::start(server.address, None, readiness.subscribe()).await;
        let said = second.expect_err("it is taken").to_string();
        assert!(said.contains("cannot listen on") && said.contains("--listen"), "{said}");
    }
}
