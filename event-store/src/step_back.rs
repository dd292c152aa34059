//! A database whose state is older than what it had confirmed.

/// The database lost what it had confirmed: a standby that lagged took over, or an older state was restored under a running engine.
///
/// When it is told, every epoch that this process had claimed is fenced, so that nothing is decided from what is gone: claim again, read
/// again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepBack {
    /// 1 for the first that this process saw, 2 for the next.
    pub number: u64,
    /// When this process wrote the last thing that is known to be there; `None`: nothing is left of what it remembers. Milliseconds since
    /// the epoch, by the caller's clock. What was written before this is there.
    pub kept_until_ms: Option<i64>,
    /// When this process wrote the last thing that was confirmed, and is missing or may be. The same unit and clock.
    pub lost_until_ms: i64,
    /// How many of the last confirmed appends that are remembered are missing. Not how many were lost: more may be.
    pub missing_appends: usize,
    /// The shards whose last claim is missing.
    pub missing_claims: Vec<u16>,
    /// The server's timeline before and now, where it says.
    pub timelines: Option<(i64, i64)>,
}
