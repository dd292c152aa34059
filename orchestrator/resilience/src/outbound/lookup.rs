//! Looking up names, in a form that hyper's connector takes.

use super::{LookupFailure, ParticipantAddresses};
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use std::{
    fmt::Debug,
    io,
    net::SocketAddr,
    task::{Context, Poll},
    vec,
};
use tower_service::Service;

/// Most addresses of a name that are tried: more would only make an attempt take longer.
const MOST_ADDRESSES: usize = 16;

/// Who knows the addresses of a name.
pub trait HostResolver: Debug + Send + Sync {
    /// The addresses of `host` at this moment; ports do not count.
    fn addresses<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct SystemResolver;

impl HostResolver for SystemResolver {
    fn addresses<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.take(MOST_ADDRESSES).collect()) })
    }
}

/// Gives hyper's connector only addresses that may be called.
#[derive(Clone, Debug)]
pub(crate) struct GuardedLookup(pub(crate) ParticipantAddresses);

impl Service<Name> for GuardedLookup {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = LookupFailure;
    type Future = BoxFuture<'static, Result<vec::IntoIter<SocketAddr>, LookupFailure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LookupFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let addresses = self.0.clone();
        Box::pin(async move { Ok(addresses.look_up(name.as_str()).await?.into_iter()) })
    }
}
