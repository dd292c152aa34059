//! Spans and metrics on their way to a collector, over OTLP. One task has the exporter of spans. What the collector
//! does not take in time is left out and counted: sagas never wait for it.

mod converted;
mod exposition;
pub(crate) mod metrics_sender;
pub(crate) mod standing;

use crate::config::{OtlpProtocol, TraceConfig};
use anyhow::Context as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use saga_core::{spans::SagaSpan, trace::TraceId};
use saga_engine::traces::{SpanSink, TraceSettings};
use standing::{LastRequest, SentSignal};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Between two log lines about a collector that takes nothing.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The spans of one commit.
type EndedSpans = (TraceId, Vec<SagaSpan>);

/// Sends spans until it is finished.
#[derive(Debug)]
pub(crate) struct SpanSender {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

/// The engine's way to the sender.
#[derive(Debug)]
struct QueueSink(mpsc::Sender<EndedSpans>);

impl SpanSink for QueueSink {
    fn take(&self, trace: TraceId, spans: Vec<SagaSpan>) {
        let count = spans.len();
        if self.0.try_send((trace, spans)).is_err() {
            dropped("queue", count);
        }
    }
}

/// Starts to send. Returns what the engine needs.
///
/// # Errors
/// When the exporter refuses what the environment says.
pub(crate) fn start(config: TraceConfig, instance: &str) -> anyhow::Result<(TraceSettings, SpanSender)> {
    let mut exporter = exporter(config.protocol).context("spans cannot be sent over OTLP")?;
    exporter.set_resource(&resource(instance));
    let (sender, ended) = mpsc::channel(config.queue);
    let stop = CancellationToken::new();
    standing::remember(SentSignal::Traces, LastRequest::None);
    let sending = SpanSending { exporter, config, stop: stop.clone(), complained: None };
    let task = tokio::spawn(sending.run(ended));
    info!(protocol = ?config.protocol, sampling = ?config.sampling, "spans of sagas go to a collector over OTLP");
    Ok((TraceSettings { sink: Arc::new(QueueSink(sender)), sampling: config.sampling }, SpanSender { task, stop }))
}

impl SpanSender {
    /// Waits until what was taken has been sent, at most `most`; takes no more.
    pub(crate) async fn finish(self, most: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(most, self.task).await.is_err() {
            warn!("the collector did not take the last spans in time");
        }
    }
}

/// The exporter reads the address, headers, time limit and compression from the environment.
fn exporter(protocol: OtlpProtocol) -> anyhow::Result<SpanExporter> {
    use opentelemetry_otlp::WithHttpConfig as _;
    saga_resilience::transport::install_tls();
    Ok(match protocol {
        OtlpProtocol::Grpc => SpanExporter::builder().with_tonic().build()?,
        OtlpProtocol::Http => SpanExporter::builder().with_http().with_http_client(http_client()?).build()?,
    })
}

fn http_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()
}

/// Who tells: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say otherwise.
fn resource(instance: &str) -> Resource {
    let attribute = |name, value: &str| opentelemetry::KeyValue::new(name, value.to_owned());
    let named = std::env::var_os("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty());
    let builder = Resource::builder().with_attributes([
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("service.instance.id", instance),
    ]);
    if named { builder.build() } else { builder.with_service_name("saga-orchestrator").build() }
}

struct SpanSending {
    exporter: SpanExporter,
    config: TraceConfig,
    stop: CancellationToken,
    complained: Option<Instant>,
}

impl SpanSending {
    async fn run(mut self, mut ended: mpsc::Receiver<EndedSpans>) {
        while let Some(first) = self.next(&mut ended).await {
            let batch = self.batch(first, &mut ended).await;
            self.send(batch).await;
        }
    }

    /// `None`: nothing more comes, or all that was taken before the stop is sent.
    async fn next(&self, ended: &mut mpsc::Receiver<EndedSpans>) -> Option<EndedSpans> {
        tokio::select! {
            biased;
            next = ended.recv() => next,
            () = self.stop.cancelled() => None,
        }
    }

    /// As many as a request holds, or as come within the delay.
    async fn batch(
        &self,
        first: EndedSpans,
        ended: &mut mpsc::Receiver<EndedSpans>,
    ) -> Vec<opentelemetry_sdk::trace::SpanData> {
        let until = tokio::time::Instant::now() + self.config.delay;
        let mut batch: Vec<_> = converted::spans(first).collect();
        while batch.len() < self.config.batch {
            let Ok(Some(next)) = tokio::time::timeout_at(until, self.next(ended)).await else { break };
            batch.extend(converted::spans(next));
        }
        batch
    }

    async fn send(&mut self, batch: Vec<opentelemetry_sdk::trace::SpanData>) {
        let (count, began) = (batch.len(), Instant::now());
        match self.exporter.export(batch).await {
            Ok(()) => {
                standing::remember(SentSignal::Traces, LastRequest::Taken(began.elapsed()));
                metrics::counter!("saga_spans_sent_total").increment(u64::try_from(count).unwrap_or(u64::MAX));
                if self.complained.take().is_some() {
                    info!("the collector takes spans again");
                }
            }
            Err(error) => {
                standing::remember(SentSignal::Traces, LastRequest::Refused(error.to_string()));
                dropped("collector", count);
                if self.complained.is_none_or(|then| then.elapsed() > TELL_AGAIN) {
                    warn!(%error, spans = count, "the collector does not take spans: they are left out");
                    self.complained = Some(Instant::now());
                }
            }
        }
    }
}

fn dropped(reason: &'static str, spans: usize) {
    let count = u64::try_from(spans).unwrap_or(u64::MAX);
    metrics::counter!("saga_spans_dropped_total", "reason" => reason).increment(count);
}
