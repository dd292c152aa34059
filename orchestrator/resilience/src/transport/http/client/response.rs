//! An answer whose head was read.

use super::{
    HttpExchangeError,
    connection::{HttpConnection, explain},
    pool::ConnectionPool,
};
use bytes::Bytes;
use futures_util::future::poll_fn;
use hyper::{
    StatusCode,
    body::{Body, Incoming},
    header::HeaderMap,
};
use std::{error::Error, io, pin::Pin, sync::Arc};

/// An answer. Dropped before its end it closes its connection.
#[derive(Debug)]
pub(in super::super) struct HttpResponse {
    head: hyper::Response<Incoming>,
    /// `None`: the body was read to its end, and the pool has the connection back.
    connection: Option<HttpConnection>,
    pool: Arc<ConnectionPool>,
    origin: Box<str>,
    was_sent_before: bool,
}

impl HttpResponse {
    pub(super) fn new(
        head: hyper::Response<Incoming>,
        connection: HttpConnection,
        pool: Arc<ConnectionPool>,
        origin: &str,
    ) -> HttpResponse {
        HttpResponse { head, connection: Some(connection), pool, origin: origin.into(), was_sent_before: false }
    }

    /// The same to a request that another connection took before and never answered.
    pub(super) fn of_second_sending(self) -> HttpResponse {
        HttpResponse { was_sent_before: true, ..self }
    }

    /// Whether another connection took the request before: what became of that is not known.
    pub(in super::super) fn was_sent_before(&self) -> bool {
        self.was_sent_before
    }

    pub(in super::super) fn status(&self) -> StatusCode {
        self.head.status()
    }

    pub(in super::super) fn headers(&self) -> &HeaderMap {
        self.head.headers()
    }

    /// How many bytes its body is said to have.
    pub(in super::super) fn claimed(&self) -> u64 {
        self.head.body().size_hint().lower()
    }

    /// The next piece of its body; `None`: it was read to its end, and its connection is kept for the next request.
    pub(in super::super) async fn piece(&mut self) -> Result<Option<Bytes>, HttpExchangeError> {
        loop {
            let frame = poll_fn(|context| Pin::new(self.head.body_mut()).poll_frame(context)).await;
            match frame {
                // What comes behind a body says nothing of it.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(_trailers) => {}
                },
                Some(Err(error)) => return Err(broken(&error)),
                None => {
                    if let Some(connection) = self.connection.take() {
                        Arc::clone(&self.pool).give_back(self.origin.clone(), connection);
                    }
                    return Ok(None);
                }
            }
        }
    }
}

/// A body that is written against the rules is another thing than a connection that broke.
fn broken(error: &hyper::Error) -> HttpExchangeError {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match cause {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            HttpExchangeError::NotHttp(format!("the body is not written as its head says: {error}"))
        }
        Some(_) | None => HttpExchangeError::Broken(explain(error)),
    }
}
