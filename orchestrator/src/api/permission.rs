//! What the API lets a caller do.

/// What a caller must be allowed to do for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoutePermission {
    /// Nothing: probes, and files that are the same for everybody.
    Open,
    /// To read metrics.
    Scrape,
    /// To read.
    Read,
    /// To act on sagas, guards and dead letters.
    Act,
    /// To change what sagas run by, and to remove what cannot be had again.
    Administer,
}

impl RoutePermission {
    /// The word of the list of routes in docs/api.md.
    #[cfg(test)]
    pub(super) fn as_str(self) -> &'static str {
        match self {
            RoutePermission::Open => "open",
            RoutePermission::Scrape => "metrics",
            RoutePermission::Read => "read",
            RoutePermission::Act => "act",
            RoutePermission::Administer => "administer",
        }
    }
}
