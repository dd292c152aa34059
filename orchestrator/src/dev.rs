//! `saga dev`.

use std::{future::Future, net::SocketAddr, path::PathBuf};

/// What `saga dev` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the run keeps its files.
    pub data: PathBuf,
    /// Where the API and the web UI listen.
    pub listen: SocketAddr,
    /// Place this many orders and no more; `None`: a trickle without end.
    pub orders: Option<u32>,
    /// End when all orders are accounted for.
    pub exit: bool,
}

/// Runs until `stop`, or until all orders are accounted for.
///
/// # Errors
/// When something that it needs cannot be had.
pub async fn run(_options: Options, _stop: impl Future<Output = ()>) -> anyhow::Result<bool> {
    anyhow::bail!("not there yet")
}
