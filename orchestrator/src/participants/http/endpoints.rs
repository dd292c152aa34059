//! Where a participant listens, and what may be called there.

use super::settings::{Error, HttpSettings};
use reqwest::Url;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The base URLs of a participant, taken in turn.
#[derive(Debug)]
pub(super) struct Endpoints {
    bases: Vec<Url>,
    next: AtomicUsize,
}

impl Endpoints {
    pub(super) fn new(settings: &HttpSettings) -> Result<Endpoints, Error> {
        let bases = settings.endpoints.iter().map(|url| base(settings, url)).collect::<Result<Vec<_>, _>>()?;
        if bases.is_empty() {
            return Err(Error::NoEndpoint { participant: settings.name.clone() });
        }
        Ok(Endpoints { bases, next: AtomicUsize::new(0) })
    }

    pub(super) fn any_encrypted(&self) -> bool {
        self.bases.iter().any(|base| base.scheme() == "https")
    }

    /// `path` below the next base; `None` if it is no path or would leave the base (`..`).
    pub(super) fn url(&self, path: &str) -> Option<Url> {
        let base = &self.bases[self.next.fetch_add(1, Ordering::Relaxed) % self.bases.len()];
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
