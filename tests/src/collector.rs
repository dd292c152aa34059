//! A collector of OpenTelemetry for tests: takes spans and metrics over OTLP, gRPC and HTTP, and keeps them.

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::Metric,
    trace::v1::Span,
};
use prost::Message as _;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A span as it was received.
#[derive(Clone, Debug)]
pub struct ReceivedSpan {
    /// Trace and span, in hex.
    pub trace: String,
    /// Id of the span, in hex.
    pub id: String,
    /// Id of its parent, in hex; empty: it has none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// The code of its error; `None`: it has none.
    pub error: Option<String>,
    /// What it says, texts and numbers as text.
    pub attributes: BTreeMap<String, String>,
    /// Ids of the spans that it links to, with what it says of each.
    pub links: Vec<(String, BTreeMap<String, String>)>,
    /// Begin and end in nanoseconds since 1970.
    pub time_ns: (u64, u64),
    /// All of it, as text: to look for what must not be in it.
    pub text: String,
}

/// The spans that came, and the resources that sent them.
#[derive(Clone, Debug, Default)]
struct SpanShelf(Arc<Mutex<Vec<ReceivedSpan>>>);

/// The last metrics that came, by their names, and the header `x-tenant` of their request.
#[derive(Clone, Debug, Default)]
struct MetricShelf(Arc<Mutex<LastMetrics>>);

type LastMetrics = (BTreeMap<String, Metric>, Option<String>);

/// A collector that listens on a port of its own for each protocol.
#[derive(Debug)]
pub struct TestCollector {
    shelf: SpanShelf,
    numbers: MetricShelf,
    http: SocketAddr,
    grpc: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl TestCollector {
    /// Starts to listen.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<TestCollector> {
        let (shelf, numbers) = (SpanShelf::default(), MetricShelf::default());
        let (http, grpc) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        let (http_address, grpc_address) = (http.local_addr()?, grpc.local_addr()?);
        let spans = Router::new().route("/v1/traces", post(over_http)).with_state(shelf.clone());
        let metrics = Router::new().route("/v1/metrics", post(metrics_over_http)).with_state(numbers.clone());
        let routes = spans.merge(metrics);
        let service = TraceServiceServer::new(shelf.clone());
        let metrics = MetricsServiceServer::new(numbers.clone());
        let incoming = tonic::transport::server::TcpIncoming::from(grpc);
        let tasks = [
            tokio::spawn(async move { drop(axum::serve(http, routes).await) }),
            tokio::spawn(async move {
                let server = tonic::transport::Server::builder().add_service(service).add_service(metrics);
                drop(server.serve_with_incoming(incoming).await);
            }),
        ];
        Ok(TestCollector { shelf, numbers, http: http_address, grpc: grpc_address, tasks })
    }

    /// The address for `http/protobuf`.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The address for `grpc`.
    #[must_use]
    pub fn grpc(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// All spans that came until now.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.shelf.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The metric of this name as it came last, and the header `x-tenant` with it.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<(Metric, Option<String>)> {
        let shelf = self.numbers.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some((shelf.0.get(name)?.clone(), shelf.1.clone()))
    }

    /// The spans of the saga with this id.
    #[must_use]
    pub fn of(&self, saga: &str) -> Vec<ReceivedSpan> {
        let is_of = |span: &ReceivedSpan| span.attributes.get("saga.id").is_some_and(|id| id == saga);
        let own: Vec<ReceivedSpan> = self.spans().into_iter().filter(is_of).collect();
        let traces: Vec<String> = own.iter().map(|span| span.trace.clone()).collect();
        self.spans().into_iter().filter(|span| traces.contains(&span.trace)).collect()
    }
}

impl Drop for TestCollector {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl SpanShelf {
    fn take(&self, request: ExportTraceServiceRequest) {
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans).map(received);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(spans);
    }
}

impl MetricShelf {
    fn take(&self, request: ExportMetricsServiceRequest, tenant: Option<String>) {
        let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        let named = scopes.flat_map(|scope| scope.metrics).map(|metric| (metric.name.clone(), metric));
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *shelf = (named.collect(), tenant);
    }
}

#[tonic::async_trait]
impl MetricsService for MetricShelf {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let tenant = request.metadata().get("x-tenant").and_then(|value| value.to_str().ok()).map(str::to_owned);
        self.take(request.into_inner(), tenant);
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

async fn metrics_over_http(State(shelf): State<MetricShelf>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    let tenant = headers.get("x-tenant").and_then(|value| value.to_str().ok()).map(str::to_owned);
    match ExportMetricsServiceRequest::decode(body) {
        Ok(request) => {
            shelf.take(request, tenant);
            (StatusCode::OK, ExportMetricsServiceResponse::default().encode_to_vec())
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string().into_bytes()),
    }
}

#[tonic::async_trait]
impl TraceService for SpanShelf {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.take(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn over_http(State(shelf): State<SpanShelf>, body: Bytes) -> (StatusCode, Vec<u8>) {
    let decoded = ExportTraceServiceRequest::decode(body).context("a request of spans");
    match decoded {
        Ok(request) => {
            shelf.take(request);
            (StatusCode::OK, ExportTraceServiceResponse::default().encode_to_vec())
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}").into_bytes()),
    }
}

fn received(span: Span) -> ReceivedSpan {
    let text = format!("{span:?}");
    let links = span.links.iter().map(|link| (hex(&link.span_id), attributes(&link.attributes))).collect();
    ReceivedSpan {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        error: span.status.filter(|status| status.code == 2).map(|status| status.message),
        attributes: attributes(&span.attributes),
        links,
        time_ns: (span.start_time_unix_nano, span.end_time_unix_nano),
        text,
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |pair: &KeyValue| pair.value.as_ref()?.value.as_ref().map(text);
    pairs.iter().filter_map(|pair| Some((pair.key.clone(), value(pair)?))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
