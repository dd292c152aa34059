//! The fixed ports of a run: clients keep the address that they found in an earlier run.

use anyhow::Context;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

/// The port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortChoice {
    /// This port only: the user named it.
    Exactly(u16),
    /// The port of an earlier run if it is free, else any free port.
    Again(u16),
    /// Any free port: neither the user nor an earlier run named one.
    Free,
}

impl PortChoice {
    /// The port that the user named, else that of an earlier run, else any.
    pub(super) fn of(named: Option<u16>, earlier: impl FnOnce() -> Option<u16>) -> PortChoice {
        let again = || earlier().map_or(PortChoice::Free, PortChoice::Again);
        named.map_or_else(again, PortChoice::Exactly)
    }

    /// Listens on this machine, and says which port of an earlier run another process uses now. `what` and `flag` are
    /// for messages.
    ///
    /// # Errors
    /// The named port is in use, or no port is free.
    pub(super) async fn listen(self, what: &str, flag: &str) -> anyhow::Result<(TcpListener, Option<u16>)> {
        let any = async { on(0).await.with_context(|| format!("no free port for {what}")) };
        match self {
            PortChoice::Exactly(port) => {
                let help =
                    || format!("port {port} for {what} is in use or not allowed: choose another one with {flag}");
                Ok((on(port).await.with_context(help)?, None))
            }
            PortChoice::Again(port) => match on(port).await {
                Ok(listener) => Ok((listener, None)),
                Err(_) => Ok((any.await?, Some(port))),
            },
            PortChoice::Free => Ok((any.await?, None)),
        }
    }
}

async fn on(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}
