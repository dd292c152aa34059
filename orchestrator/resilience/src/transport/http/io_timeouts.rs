//! How long the parts of an exchange may take: writing the request, and each piece of the answer.

use super::{
    process_timeout,
    request_body::{OutgoingBody, WriteStage},
};
use bytes::Bytes;
use saga_core::command::{CommandAnswer, CommandFailure, ErrorClass, FailureOrigin};
use std::time::Duration;
use tokio::{sync::watch, time::Instant};

/// What a participant is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReadWriteTimeouts {
    /// For each piece of the answer, the first one included; `None`: as long as the attempt.
    pub(super) read: Option<Duration>,
    /// From the connection until the request is written; `None`: as long as the attempt.
    pub(super) write: Option<Duration>,
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExchangeTimeout {
    /// The participant did not take the request.
    Write(Duration),
    /// It did not answer, or not go on.
    Read(Duration),
}

impl ExchangeTimeout {
    /// Something of the request may have left, so nothing is known.
    pub(super) fn answer(self) -> CommandAnswer {
        let (code, message) = match self {
            ExchangeTimeout::Write(limit) => ("timeout.write", format!("the request was not taken within {limit:?}")),
            ExchangeTimeout::Read(limit) => ("timeout.read", format!("no piece of an answer within {limit:?}")),
        };
        let failure = CommandFailure::new(code, message).of_origin(FailureOrigin::Transport);
        CommandAnswer::unknown(failure.of_class(ErrorClass::Timeout))
    }
}

/// The pace of one request over a connection that is there.
#[derive(Debug)]
pub(super) struct TimeoutWatch {
    timeouts: ReadWriteTimeouts,
    /// How far the body is written; `None`: neither a read nor a write timeout is set.
    stages: Option<watch::Receiver<WriteStage>>,
}

impl ReadWriteTimeouts {
    /// A body of these bytes, which tells from now on how far it is.
    pub(super) fn watch(self, bytes: Bytes) -> (OutgoingBody, TimeoutWatch) {
        if self.read.is_none() && self.write.is_none() {
            return (OutgoingBody::unwatched(bytes), TimeoutWatch { timeouts: self, stages: None });
        }
        let (body, stages) = OutgoingBody::watched(bytes);
        (body, TimeoutWatch { timeouts: self, stages: Some(stages) })
    }
}

impl TimeoutWatch {
    /// Ends when something takes too long before the answer begins; never if nothing does.
    pub(super) async fn late(self) -> ExchangeTimeout {
        let Some(stages) = self.stages else { return std::future::pending().await };
        if let Err(late) = written(stages, self.timeouts.write).await {
            return late;
        }
        match self.timeouts.read {
            Some(read) => process_timeout::ends(Instant::now() + read, read).await,
            None => std::future::pending().await,
        }
        ExchangeTimeout::Read(self.timeouts.read.unwrap_or_default())
    }
}

/// Waits until the connection has taken the last piece.
async fn written(mut stages: watch::Receiver<WriteStage>, limit: Option<Duration>) -> Result<(), ExchangeTimeout> {
    match limit {
        None => reached(&mut stages, WriteStage::Written).await,
        Some(limit) => {
            let written =
                process_timeout::within(Instant::now() + limit, limit, reached(&mut stages, WriteStage::Written)).await;
            written.ok_or(ExchangeTimeout::Write(limit))?;
        }
    }
    Ok(())
}

/// Never, if the body was dropped before: then the connection broke, and says so itself.
async fn reached(stages: &mut watch::Receiver<WriteStage>, stage: WriteStage) {
    if stages.wait_for(|now| *now >= stage).await.is_err() {
        std::future::pending::<()>().await;
    }
}
