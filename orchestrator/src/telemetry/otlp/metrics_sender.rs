//! Metrics on their way to a collector. Numbers are cumulative: where a request fails, the next one has all of it, so
//! none is sent again.

use super::{
    exposition::{self, ReadingTimes},
    standing::{self, LastRequest, SentSignal},
};
use crate::config::{MetricsPush, OtlpProtocol};
use anyhow::{Context as _, bail};
use opentelemetry_proto::{
    tonic::{
        collector::metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse, metrics_service_client::MetricsServiceClient,
        },
        common::v1::InstrumentationScope,
        metrics::v1::{ResourceMetrics, ScopeMetrics},
        resource::v1::Resource,
    },
    transform::common::tonic::ResourceAttributesWithSchema,
};
use prost::Message as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{
    metadata::{MetadataKey, MetadataMap},
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tracing::{info, warn};

/// Bytes of a collector's answer that are read.
const ANSWER_BYTES: usize = 64 * 1024;

/// Sends metrics until it is finished.
#[derive(Debug)]
pub(crate) struct MetricsSender {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

/// Starts to send what `scrape` shows, at each interval. `None` of it: nothing is recorded.
///
/// # Errors
/// When no client can be made of the configuration.
pub(crate) fn start<F>(
    config: &MetricsPush,
    instance: &str,
    scrape: impl Fn() -> F + Send + Sync + 'static,
) -> anyhow::Result<MetricsSender>
where
    F: Future<Output = Option<String>> + Send,
{
    let client = CollectorClient::new(config).context("metrics cannot be sent over OTLP")?;
    let resource = ResourceAttributesWithSchema::from(&super::resource(instance));
    let resource = Resource { attributes: resource.attributes.0, ..Resource::default() };
    standing::remember(SentSignal::Metrics, LastRequest::None);
    let stop = CancellationToken::new();
    info!(protocol = ?config.protocol, interval = ?config.interval, "metrics go to a collector over OTLP");
    let mut sending =
        MetricsSending { client, resource, timeout: config.timeout, since_ns: now_ns(), complained: None };
    let (stopped, interval) = (stop.clone(), config.interval);
    let task = tokio::spawn(async move {
        loop {
            let is_last = tokio::time::timeout(interval, stopped.cancelled()).await.is_ok();
            if let Some(text) = scrape().await {
                sending.send(&text).await;
            }
            if is_last {
                return;
            }
        }
    });
    Ok(MetricsSender { task, stop })
}

impl MetricsSender {
    /// Sends once more and ends, within `most`.
    pub(crate) async fn finish(self, most: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(most, self.task).await.is_err() {
            warn!("the collector did not take the last metrics in time");
        }
    }
}

struct MetricsSending {
    client: CollectorClient,
    resource: Resource,
    timeout: Duration,
    since_ns: u64,
    complained: Option<Instant>,
}

impl MetricsSending {
    async fn send(&mut self, text: &str) {
        let times = ReadingTimes { since_ns: self.since_ns, now_ns: now_ns() };
        let (request, began) = (self.request(text, times), Instant::now());
        let sent = tokio::time::timeout(self.timeout, self.client.send(request)).await;
        let sent = sent.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {:?}", self.timeout)));
        let outcome = if sent.is_ok() { "taken" } else { "refused" };
        metrics::counter!("saga_metrics_sent_total", "outcome" => outcome).increment(1);
        let last = match &sent {
            Ok(()) => LastRequest::Taken(began.elapsed()),
            Err(error) => LastRequest::Refused(format!("{error:#}")),
        };
        standing::remember(SentSignal::Metrics, last);
        match sent {
            Ok(()) => {
                if self.complained.take().is_some() {
                    info!("the collector takes metrics again");
                }
            }
            Err(error) if self.complained.is_none_or(|then| then.elapsed() > super::TELL_AGAIN) => {
                self.complained = Some(Instant::now());
                warn!(
                    error = format!("{error:#}"),
                    "the collector does not take metrics: the next request has them. If it takes none at all, set \
                     OTEL_METRICS_EXPORTER=none"
                );
            }
            Err(_) => {}
        }
    }

    fn request(&self, text: &str, times: ReadingTimes) -> ExportMetricsServiceRequest {
        let scope = InstrumentationScope { name: "saga".to_owned(), ..InstrumentationScope::default() };
        let scope_metrics = vec![ScopeMetrics {
            scope: Some(scope),
            metrics: exposition::metrics(text, times),
            ..ScopeMetrics::default()
        }];
        let resource = Some(self.resource.clone());
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }],
        }
    }
}

/// The connection to the collector.
enum CollectorClient {
    Grpc { client: MetricsServiceClient<Channel>, metadata: MetadataMap },
    Http { client: reqwest::Client, config: MetricsPush },
}

impl CollectorClient {
    /// Connects at the first request.
    fn new(config: &MetricsPush) -> anyhow::Result<CollectorClient> {
        saga_resilience::transport::install_tls();
        Ok(match config.protocol {
            OtlpProtocol::Grpc => {
                let mut endpoint = Endpoint::from_shared(config.address.to_string())?;
                if config.address.scheme() == "https" {
                    endpoint = endpoint.tls_config(ClientTlsConfig::new().with_enabled_roots())?;
                }
                let client = MetricsServiceClient::new(endpoint.connect_lazy());
                CollectorClient::Grpc { client, metadata: metadata(&config.headers)? }
            }
            OtlpProtocol::Http => CollectorClient::Http { client: super::http_client()?, config: config.clone() },
        })
    }

    async fn send(&mut self, request: ExportMetricsServiceRequest) -> anyhow::Result<()> {
        let answer = match self {
            CollectorClient::Grpc { client, metadata } => {
                let mut request = tonic::Request::new(request);
                request.metadata_mut().clone_from(metadata);
                client.export(request).await.map_err(|status| anyhow::anyhow!("{status}"))?.into_inner()
            }
            CollectorClient::Http { client, config } => over_http(client, config, &request).await?,
        };
        let refused = answer.partial_success.filter(|partial| partial.rejected_data_points > 0);
        if let Some(partial) = refused {
            bail!("{} numbers were refused: {}", partial.rejected_data_points, partial.error_message);
        }
        Ok(())
    }
}

fn metadata(headers: &[(String, String)]) -> anyhow::Result<MetadataMap> {
    let mut metadata = MetadataMap::new();
    for (name, value) in headers {
        let name: MetadataKey<_> = name.parse().context("the name of a header")?;
        metadata.insert(name, value.parse().context("the value of a header")?);
    }
    Ok(metadata)
}

async fn over_http(
    client: &reqwest::Client,
    config: &MetricsPush,
    request: &ExportMetricsServiceRequest,
) -> anyhow::Result<ExportMetricsServiceResponse> {
    let mut post = client.post(config.address.clone()).header("content-type", "application/x-protobuf");
    for (name, value) in &config.headers {
        post = post.header(name, value);
    }
    let mut answer = post.body(request.encode_to_vec()).send().await.map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    if !status.is_success() {
        bail!("the collector answered {status}");
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        anyhow::ensure!(body.len() <= ANSWER_BYTES, "the answer has more than {ANSWER_BYTES} bytes");
    }
    ExportMetricsServiceResponse::decode(body.as_slice()).context("the answer is none of OTLP")
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
