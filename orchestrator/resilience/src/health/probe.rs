//! How a participant is asked how it is.

use crate::{
    outbound::ParticipantAddresses,
    transport::http::{self, EndpointProbeResult, EndpointProber, HttpClient, HttpClientError},
};
use saga_core::definition::participants::{CONNECT_TIMEOUT, HealthCheckMethod};
use saga_guards::health::HealthCheckOutcome;
use std::{sync::Arc, time::Duration};
use url::Url;

/// How a participant is asked how it is.
#[derive(Clone, Debug)]
pub(crate) enum HealthProbe {
    /// `GET` on a path of each endpoint.
    Path(EndpointProber, String),
    /// A connection to each endpoint.
    Connect(EndpointProber),
    /// `GET` on a URL.
    Url(HttpClient, Arc<Url>),
    /// A test sets the results.
    #[cfg(test)]
    Told(Arc<super::tests::ScriptedHealth>),
}

/// What one round of questions was answered.
#[derive(Clone, Debug)]
pub(super) enum HealthCheckRound {
    /// The result of each endpoint, where each endpoint is checked.
    Endpoints(Vec<EndpointProbeResult>),
    /// The result for the participant as a whole.
    Whole(HealthCheckOutcome),
}

impl HealthProbe {
    /// What `check` asks a participant at `addresses`, whose endpoints are `prober`'s; `None` if it has no endpoints to
    /// ask, or the URL is none.
    ///
    /// # Errors
    /// When there can be no client, for want of certificates of authorities for example.
    pub(crate) fn of(
        check: &HealthCheckMethod,
        prober: Option<EndpointProber>,
        addresses: ParticipantAddresses,
    ) -> Result<Option<HealthProbe>, HttpClientError> {
        Ok(match check {
            HealthCheckMethod::Path(path) => prober.map(|prober| HealthProbe::Path(prober, path.clone())),
            HealthCheckMethod::Connect => prober.map(HealthProbe::Connect),
            HealthCheckMethod::Url(url) => match Url::parse(url) {
                Ok(url) => {
                    let client = http::plain_client(CONNECT_TIMEOUT, url.scheme() == "https", addresses)?;
                    Some(HealthProbe::Url(client, Arc::new(url)))
                }
                Err(_) => None,
            },
        })
    }

    /// Asks once; takes at most `timeout`.
    pub(super) async fn ask(&self, timeout: Duration) -> HealthCheckRound {
        match self {
            HealthProbe::Path(prober, path) => HealthCheckRound::Endpoints(prober.get(path, timeout).await),
            HealthProbe::Connect(prober) => HealthCheckRound::Endpoints(prober.connect(timeout).await),
            HealthProbe::Url(client, url) => HealthCheckRound::Whole(http::get_url(client, url, timeout).await),
            #[cfg(test)]
            HealthProbe::Told(told) => told.ask().await,
        }
    }

    /// Sets what the checks of one endpoint say, for the balancer, which picks endpoints.
    pub(super) fn set_health(&self, url: &Url, healthy: bool) {
        match self {
            HealthProbe::Path(prober, _) | HealthProbe::Connect(prober) => prober.set_health(url, healthy),
            HealthProbe::Url(..) => {}
            #[cfg(test)]
            HealthProbe::Told(_) => {}
        }
    }
}

impl HealthCheckRound {
    /// A participant is well if one of its endpoints is; what it took is what the fastest took.
    pub(super) fn outcome(&self) -> HealthCheckOutcome {
        match self {
            HealthCheckRound::Whole(outcome) => *outcome,
            HealthCheckRound::Endpoints(all) => {
                let took = all.iter().filter_map(|probed| match probed.outcome {
                    HealthCheckOutcome::Passed { took } => Some(took),
                    HealthCheckOutcome::Failed => None,
                });
                took.min().map_or(HealthCheckOutcome::Failed, |took| HealthCheckOutcome::Passed { took })
            }
        }
    }
}

#[cfg(test)]
impl HealthProbe {
    /// Whether one round of questions says that the participant is well.
    pub(crate) async fn passes(&self, timeout: Duration) -> bool {
        matches!(self.ask(timeout).await.outcome(), HealthCheckOutcome::Passed { .. })
    }
}
