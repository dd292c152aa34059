//! How a participant is asked how it is.

use crate::transport::http::{self, Client, NoClient, Probed, Prober};
use saga_core::definition::participants::{CONNECT_TIMEOUT, HealthCheck};
use saga_guards::health::Outcome;
use std::{sync::Arc, time::Duration};
use url::Url;

/// How a participant is asked how it is.
#[derive(Clone, Debug)]
pub enum Question {
    /// `GET` on a path of each endpoint.
    Path(Prober, String),
    /// A connection to each endpoint.
    Connect(Prober),
    /// `GET` on a URL.
    Url(Client, Arc<Url>),
    /// By a test.
    #[cfg(test)]
    Told(Arc<super::tests::Told>),
}

/// What one round of questions was answered.
#[derive(Clone, Debug)]
pub(super) enum Round {
    /// By each endpoint.
    Endpoints(Vec<Probed>),
    /// By the participant as a whole.
    Whole(Outcome),
}

impl Question {
    /// What `check` asks a participant, whose endpoints are `prober`'s; `None` if it has no endpoints to ask, or the URL is none.
    ///
    /// # Errors
    /// When there can be no client, for want of certificates of authorities for example.
    pub fn of(check: &HealthCheck, prober: Option<Prober>) -> Result<Option<Question>, NoClient> {
        Ok(match check {
            HealthCheck::Path(path) => prober.map(|prober| Question::Path(prober, path.clone())),
            HealthCheck::Connect => prober.map(Question::Connect),
            HealthCheck::Url(url) => match Url::parse(url) {
                Ok(url) => {
                    Some(Question::Url(http::plain_client(CONNECT_TIMEOUT, url.scheme() == "https")?, Arc::new(url)))
                }
                Err(_) => None,
            },
        })
    }

    /// Asks once; takes at most `timeout`.
    pub(super) async fn ask(&self, timeout: Duration) -> Round {
        match self {
            Question::Path(prober, path) => Round::Endpoints(prober.get(path, timeout).await),
            Question::Connect(prober) => Round::Endpoints(prober.connect(timeout).await),
            Question::Url(client, url) => Round::Whole(http::get_url(client, url, timeout).await),
            #[cfg(test)]
            Question::Told(told) => told.ask().await,
        }
    }

    /// What the checks of one endpoint say, for whoever picks one.
    pub(super) fn set_health(&self, url: &Url, healthy: bool) {
        match self {
            Question::Path(prober, _) | Question::Connect(prober) => prober.set_health(url, healthy),
            Question::Url(..) => {}
            #[cfg(test)]
            Question::Told(_) => {}
        }
    }
}

impl Round {
    /// A participant is well if one of its endpoints is; what it took is what the fastest took.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Round::Whole(outcome) => *outcome,
            Round::Endpoints(all) => {
                let took = all.iter().filter_map(|probed| match probed.outcome {
                    Outcome::Passed { took } => Some(took),
                    Outcome::Failed => None,
                });
                took.min().map_or(Outcome::Failed, |took| Outcome::Passed { took })
            }
        }
    }
}
