//! Where a participant listens, which of its endpoints takes a call, and what may be called there.

mod state;
#[cfg(test)]
mod tests;

pub use state::EndpointStateView;

use super::settings::{HttpSettings, HttpSettingsError};
use crate::guard_events::{GuardEventBus, GuardEventKind};
use saga_base::sync::{MutexGuard, UnpoisonedMutex};
use saga_core::command::{CommandAnswer, FailureOrigin};
use saga_guards::{
    MonotonicTime,
    balancer::{
        BalancingStrategy, EjectionConfig, EndpointPick, EndpointTransition, EndpointVerdict, ListedEndpoint,
        LoadBalancer,
    },
};
use std::{num::NonZeroU32, sync::Arc, time::Instant};
use tracing::{info, warn};
use url::Url;

/// The base URLs of a participant, and what is known of each.
#[derive(Debug)]
pub(super) struct ParticipantEndpoints {
    participant: String,
    started: Instant,
    changes: GuardEventBus,
    listed: UnpoisonedMutex<EndpointListing>,
}

/// What has to change together.
#[derive(Debug)]
struct EndpointListing {
    bases: Vec<Arc<Url>>,
    weights: Vec<NonZeroU32>,
    strategy: BalancingStrategy,
    ejection: Option<EjectionConfig>,
    /// Its positions are those of `bases`.
    balancer: LoadBalancer,
}

/// The endpoint that takes one call. Dropped, it says nothing about the endpoint.
#[derive(Debug)]
#[must_use = "a dropped pick is given back at once"]
pub(super) struct PickedEndpoint {
    endpoints: Arc<ParticipantEndpoints>,
    base: Arc<Url>,
    index: usize,
    /// Taken out when it is settled.
    pick: Option<EndpointPick>,
}

/// The endpoint that could not take a call. A list that has changed meanwhile may have another in its place: it is a
/// hint.
#[derive(Clone, Copy, Debug)]
pub(super) struct TriedEndpoint(usize);

impl ParticipantEndpoints {
    /// What happens to them is published in `changes`.
    pub(super) fn new(
        settings: &HttpSettings,
        changes: GuardEventBus,
    ) -> Result<Arc<ParticipantEndpoints>, HttpSettingsError> {
        let bases = settings.endpoints.iter().map(|it| base(settings, &it.url).map(Arc::new));
        let bases = bases.collect::<Result<Vec<_>, _>>()?;
        if bases.is_empty() {
            return Err(HttpSettingsError::NoEndpoint { participant: settings.name.clone() });
        }
        let weights: Vec<_> = settings.endpoints.iter().map(|it| it.weight).collect();
        let (strategy, ejection) = (settings.balance, settings.ejection);
        let balancer = LoadBalancer::new(&weights, strategy, ejection);
        let listed = UnpoisonedMutex::new(EndpointListing { bases, weights, strategy, ejection, balancer });
        Ok(Arc::new(ParticipantEndpoints {
            participant: settings.name.clone(),
            started: Instant::now(),
            changes,
            listed,
        }))
    }

    /// From here on the list of `next` and its way to pick; what is known of endpoints that stay is kept, calls under
    /// way included.
    pub(super) fn replace_with(&self, next: &ParticipantEndpoints) {
        let now = self.now();
        let (bases, weights, strategy, ejection) = next.listing().settings();
        let mut listing = self.listing();
        let was = |base: &Url| listing.bases.iter().position(|before| **before == *base);
        let listed =
            bases.iter().zip(&weights).map(|(base, weight)| ListedEndpoint { weight: *weight, was: was(base) });
        let listed: Vec<_> = listed.collect();
        listing.balancer.configure(&listed, strategy, ejection, now);
        (listing.bases, listing.weights, listing.strategy, listing.ejection) = (bases, weights, strategy, ejection);
    }

    /// The endpoint for a try: another one than `tried`, if there is one.
    pub(super) fn pick(self: &Arc<Self>, tried: Option<TriedEndpoint>) -> PickedEndpoint {
        let now = self.now();
        let mut listing = self.listing();
        let pick = listing.balancer.pick(now, fastrand::u64(..), tried.map(|TriedEndpoint(index)| index));
        let index = pick.index();
        let base = Arc::clone(&listing.bases[index]);
        drop(listing);
        PickedEndpoint { endpoints: Arc::clone(self), base, index, pick: Some(pick) }
    }

    pub(super) fn any_encrypted(&self) -> bool {
        self.listing().bases.iter().any(|base| base.scheme() == "https")
    }

    /// All base URLs at this moment.
    pub(super) fn bases(&self) -> Vec<Arc<Url>> {
        self.listing().bases.clone()
    }

    /// Sets what the health check of the endpoint at `base` says. A result for an endpoint that is not listed any more
    /// is ignored.
    pub(super) fn set_health(&self, base: &Url, healthy: bool) {
        let mut listing = self.listing();
        if let Some(index) = listing.bases.iter().position(|listed| **listed == *base) {
            listing.balancer.set_health(index, healthy);
        }
    }

    /// What is recorded of a `Location` header that came with the answer to `asked`. With one endpoint it is path and
    /// query, so that a participant may move; with several it names the host, because only that one knows.
    ///
    /// # Errors
    /// As [`ParticipantEndpoints::resolve_location`].
    pub(super) fn location(&self, asked: &Url, header: &str) -> Result<String, String> {
        let url = self.resolve_location(asked, header)?;
        Ok(match self.listing().bases.as_slice() {
            [_] => path_and_query(&url),
            _ => url.to_string(),
        })
    }

    /// The URL of a `Location` header that came with the answer to `asked`, as it is seen from here: behind a proxy
    /// that ends TLS a service names its own host with the scheme that is spoken inside.
    ///
    /// # Errors
    /// It leads to another host, or nowhere.
    pub(super) fn resolve_location(&self, asked: &Url, header: &str) -> Result<Url, String> {
        let elsewhere = || format!("to be asked at another host, or not at all: {header}");
        let mut url = asked.join(header).map_err(|_| elsewhere())?;
        let is_web = matches!(url.scheme(), "http" | "https");
        // Another port of the same host is another server.
        let same_port = url.port() == asked.port() || url.port_or_known_default() == asked.port_or_known_default();
        let same = url.host_str() == asked.host_str() && same_port;
        if !is_web || !same || !url.username().is_empty() || url.password().is_some() {
            return Err(elsewhere());
        }
        url.set_fragment(None);
        url.set_scheme(asked.scheme()).and_then(|()| url.set_port(asked.port())).map_err(|()| elsewhere())?;
        Ok(url)
    }

    /// The URL of a recorded location; `None` if its host is not, or no longer, one of the participant's.
    pub(super) fn located(&self, location: &str) -> Option<Url> {
        let listing = self.listing();
        let url = listing.bases.first()?.join(location).ok()?;
        listing.bases.iter().any(|base| same_host(base, &url)).then_some(url)
    }

    /// All endpoints at this moment, for people.
    pub(super) fn states(&self) -> Vec<EndpointStateView> {
        let now = self.now();
        let listing = self.listing();
        let known = listing.balancer.snapshot(now);
        listing.bases.iter().zip(known).map(|(base, known)| EndpointStateView::of(base, &known)).collect()
    }

    /// Tells of those that get calls again, since it was last asked to.
    pub(super) fn tell_who_is_back(&self) {
        let now = self.now();
        let mut listing = self.listing();
        let EndpointListing { bases, balancer, .. } = &mut *listing;
        let back: Vec<_> = balancer.come_back(now).filter_map(|index| bases.get(index).map(Arc::clone)).collect();
        drop(listing);
        for base in back {
            info!(participant = self.participant, endpoint = base.as_str(), "an endpoint gets calls again");
            self.publish(GuardEventKind::EndpointReturned { endpoint: base.to_string() });
        }
    }

    fn publish(&self, what: GuardEventKind) {
        self.changes.publish(Some(&self.participant), what);
    }

    fn now(&self) -> MonotonicTime {
        MonotonicTime::since_origin(self.started.elapsed())
    }

    /// A balancer is consistent between any two of its methods, so a panic elsewhere under the lock leaves nothing half
    /// done.
    fn listing(&self) -> MutexGuard<'_, EndpointListing> {
        self.listed.lock()
    }
}

impl EndpointListing {
    fn settings(&self) -> (Vec<Arc<Url>>, Vec<NonZeroU32>, BalancingStrategy, Option<EjectionConfig>) {
        (self.bases.clone(), self.weights.clone(), self.strategy, self.ejection)
    }
}

impl PickedEndpoint {
    /// `path` below the endpoint's base; `None` if it is no path or would leave the base (`..`).
    pub(super) fn url(&self, path: &str) -> Option<Url> {
        below(&self.base, path)
    }

    pub(super) fn tried(&self) -> TriedEndpoint {
        TriedEndpoint(self.index)
    }

    /// Tells how the call went.
    pub(super) fn settle(mut self, answer: &CommandAnswer) {
        self.end(verdict(answer));
    }

    fn end(&mut self, verdict: EndpointVerdict) {
        let Some(pick) = self.pick.take() else { return };
        let now = self.endpoints.now();
        let settled = self.endpoints.listing().balancer.done(pick, verdict, now);
        match settled {
            EndpointTransition::Kept => {}
            EndpointTransition::Ejected(span) => self.report(span),
        }
    }

    fn report(&self, span: std::time::Duration) {
        let (participant, endpoint) = (self.endpoints.participant.as_str(), self.base.as_str());
        warn!(participant, endpoint, ?span, "an endpoint failed again and again; it is left out");
        let labels = [("participant", participant.to_owned()), ("endpoint", endpoint.to_owned())];
        metrics::counter!("saga_endpoint_ejections_total", &labels).increment(1);
        self.endpoints.publish(GuardEventKind::EndpointEjected { endpoint: endpoint.to_owned(), span });
    }
}

impl Drop for PickedEndpoint {
    fn drop(&mut self) {
        self.end(EndpointVerdict::Neutral);
    }
}

/// What an answer says about the endpoint that gave it. A refusal is healthy, an error of the participant's own is not,
/// and a request that cannot be built says nothing.
fn verdict(answer: &CommandAnswer) -> EndpointVerdict {
    match answer {
        CommandAnswer::Succeeded { .. } | CommandAnswer::Ongoing { .. } => EndpointVerdict::Succeeded,
        CommandAnswer::NotSent { .. } => EndpointVerdict::Neutral,
        CommandAnswer::Failed { failure, .. } => match failure.origin {
            FailureOrigin::Engine | FailureOrigin::Broker => EndpointVerdict::Neutral,
            FailureOrigin::Transport | FailureOrigin::Participant { status: Some(500..=599) } => {
                EndpointVerdict::Failed
            }
            FailureOrigin::Participant { .. } => EndpointVerdict::Succeeded,
        },
        CommandAnswer::Unknown { failure, .. } => match failure.origin {
            FailureOrigin::Engine | FailureOrigin::Broker => EndpointVerdict::Neutral,
            FailureOrigin::Transport | FailureOrigin::Participant { .. } => EndpointVerdict::Failed,
        },
    }
}

/// `path` below `base`; `None` if it is no path or would leave the base (`..`).
pub(super) fn below(base: &Url, path: &str) -> Option<Url> {
    let url = Url::parse(&format!("{base}{path}")).ok()?;
    (same_host(&url, base) && url.path().starts_with(base.path())).then_some(url)
}

fn base(settings: &HttpSettings, text: &str) -> Result<Url, HttpSettingsError> {
    let wrong = |reason: &str| {
        let url = text.rsplit_once('@').map_or(text, |(_, after)| after).to_owned();
        HttpSettingsError::Endpoint { participant: settings.name.clone(), url, reason: reason.to_owned() }
    };
    let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("expected http or https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("credentials belong into its authorization"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("a query or a fragment cannot be followed by a path"));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn same_host(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

fn path_and_query(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}
