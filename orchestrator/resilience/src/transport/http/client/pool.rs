//! Connections that wait for their next request.

use super::connection::HttpConnection;
use saga_base::sync::UnpoisonedMutex;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::{Instant, sleep_until, timeout};

/// Idle connections kept for each endpoint: as many as the largest bulkheads that one instance drives.
const MAX_IDLE: usize = 512;
/// How long a connection may take after the last byte of an answer until it takes the next request: it has the
/// request's last bytes to write, or never takes another.
const TURN_ROUND: Duration = Duration::from_secs(1);

/// Idle connections, by scheme, host and port.
#[derive(Debug, Default)]
pub(super) struct ConnectionPool(UnpoisonedMutex<IdleConnections>);

#[derive(Debug, Default)]
struct IdleConnections {
    /// The last one was used last.
    idle: HashMap<Box<str>, Vec<HttpConnection>>,
    /// Whether a task closes what has been idle for too long.
    is_swept: bool,
}

impl ConnectionPool {
    /// The connection to `origin` that was used last. Of those that come before it, what cannot be used any more is
    /// closed.
    pub(super) fn take(&self, origin: &str) -> Option<HttpConnection> {
        let now = Instant::now();
        let mut kept = self.0.lock();
        let idle = kept.idle.get_mut(origin)?;
        for at in (0..idle.len()).rev() {
            if idle[at].is_reusable(now) && idle[at].is_ready() {
                return Some(idle.remove(at));
            }
            if !idle[at].is_reusable(now) {
                drop(idle.remove(at));
            }
        }
        None
    }

    /// Keeps a connection whose answer was read, as soon as it takes another request.
    pub(super) fn give_back(self: Arc<Self>, origin: Box<str>, mut connection: HttpConnection) {
        if connection.is_ready() {
            return self.keep(origin, connection);
        }
        tokio::spawn(async move {
            if timeout(TURN_ROUND, connection.ready()).await == Ok(true) {
                self.keep(origin, connection);
            }
        });
    }

    fn keep(self: Arc<Self>, origin: Box<str>, connection: HttpConnection) {
        if !connection.is_reusable(Instant::now()) {
            return;
        }
        let mut kept = self.0.lock();
        let idle = kept.idle.entry(origin).or_default();
        if idle.len() >= MAX_IDLE {
            return;
        }
        idle.push(connection);
        if !std::mem::replace(&mut kept.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self)));
        }
    }

    /// Closes connections whose time is over. Answers when the next one is due; `None`: the pool holds no idle
    /// connection, and the sweeping task ends.
    fn close_ended(&self, now: Instant) -> Option<Instant> {
        let mut kept = self.0.lock();
        kept.idle.retain(|_, idle| {
            idle.retain(|connection| connection.is_reusable(now));
            !idle.is_empty()
        });
        let next = kept.idle.values().flatten().map(HttpConnection::ends).min();
        kept.is_swept = next.is_some();
        next
    }
}

/// Closes idle connections at their time, until there is none or the client is gone.
async fn sweep(pool: Weak<ConnectionPool>) {
    loop {
        let Some(next) = pool.upgrade().and_then(|pool| pool.close_ended(Instant::now())) else { return };
        sleep_until(next).await;
    }
}
