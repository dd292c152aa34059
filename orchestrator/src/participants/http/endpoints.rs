//! Where a participant listens, and what may be called there.

use super::settings::{Error, HttpSettings};
use reqwest::Url;
use std::sync::atomic::{AtomicU64, Ordering};

/// The base URLs of a participant, each with its share of the calls.
#[derive(Debug)]
pub(super) struct Endpoints {
    bases: Vec<Url>,
    /// The weights added up: the endpoint at an index has the numbers below its own sum and not below the one before.
    sums: Vec<u64>,
    calls: AtomicU64,
}

/// 2^64 divided by the golden ratio. Its multiples are spread evenly, so that the calls that an endpoint gets do not come in a row.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Endpoints {
    pub(super) fn new(settings: &HttpSettings) -> Result<Endpoints, Error> {
        let bases = settings.endpoints.iter().map(|it| base(settings, &it.url)).collect::<Result<Vec<_>, _>>()?;
        if bases.is_empty() {
            return Err(Error::NoEndpoint { participant: settings.name.clone() });
        }
        let weights = settings.endpoints.iter().map(|it| u64::from(it.weight.get()));
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Ok(Endpoints { bases, sums: sums.collect(), calls: AtomicU64::new(0) })
    }

    /// The base for the next call.
    fn next(&self) -> &Url {
        let spread = self.calls.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN);
        let total = self.sums.last().copied().unwrap_or(1);
        let number = u64::try_from((u128::from(spread) * u128::from(total)) >> 64).unwrap_or(0);
        let index = self.sums.partition_point(|sum| *sum <= number);
        &self.bases[index.min(self.bases.len() - 1)]
    }

    pub(super) fn any_encrypted(&self) -> bool {
        self.bases.iter().any(|base| base.scheme() == "https")
    }

    /// `path` below the next base; `None` if it is no path or would leave the base (`..`).
    pub(super) fn url(&self, path: &str) -> Option<Url> {
        let base = self.next();
        let url = Url::parse(&format!("{base}{path}")).ok()?;
        (same_host(&url, base) && url.path().starts_with(base.path())).then_some(url)
    }

    /// What is recorded of a `Location` header that came with the answer to `asked`; `None` if it leads to another host. With one
    /// endpoint it is path and query, so that a participant may move; with several it names the host, because only that one knows.
    pub(super) fn location(&self, asked: &Url, header: &str) -> Option<String> {
        let url = asked.join(header).ok()?;
        if !same_host(&url, asked) || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        Some(match self.bases.as_slice() {
            [_] => path_and_query(&url),
            _ => url.to_string(),
        })
    }

    /// The URL of a recorded location; `None` if its host is not, or no longer, one of the participant's.
    pub(super) fn located(&self, location: &str) -> Option<Url> {
        let url = self.bases.first()?.join(location).ok()?;
        self.bases.iter().any(|base| same_host(base, &url)).then_some(url)
    }
}

fn base(settings: &HttpSettings, text: &str) -> Result<Url, Error> {
    let wrong = |reason: &str| {
        let url = text.rsplit_once('@').map_or(text, |(_, after)| after).to_owned();
        Error::Endpoint { participant: settings.name.clone(), url, reason: reason.to_owned() }
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

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::definition::participants::Endpoint;
    use std::num::NonZeroU32;

    #[test]
    fn every_endpoint_gets_its_share() {
        let endpoint = |(host, weight): (&str, u32)| Endpoint {
            url: format!("http://{host}"),
            weight: NonZeroU32::new(weight).expect("not zero"),
        };
        let endpoints = [("one", 1), ("three", 3), ("six", 6)].map(endpoint).to_vec();
        let endpoints = Endpoints::new(&HttpSettings { endpoints, ..HttpSettings::at("payments", "") });
        let endpoints = endpoints.expect("base URLs");
        let mut calls = std::collections::BTreeMap::new();
        for _ in 0..1_000 {
            let url = endpoints.url("charges").expect("a path");
            *calls.entry(url.host_str().map(str::to_owned)).or_insert(0_i32) += 1;
        }
        for (host, share) in [("one", 100), ("three", 300), ("six", 600)] {
            let got = calls.get(&Some(host.to_owned())).copied().unwrap_or(0);
            assert!((got - share).abs() <= 10, "{host} got {got}");
        }
    }
}
