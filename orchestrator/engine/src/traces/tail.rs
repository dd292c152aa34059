//! Sagas that are told of late: their spans come from their journals.

use super::SpanSink;
use crate::journal::{JournalAccess, JournalError};
use saga_core::{
    event::SagaEvent,
    evolve::FoldError,
    id::SagaId,
    spans::{self, SagaSpan},
    trace::{TraceContext, TraceId, traceparent},
};
use saga_resilience::registry::GuardRegistry;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::warn;

/// Sagas that wait to be read: 24 bytes each. In an outage more fail at once than anybody looks at one by one.
const WAITING: usize = 4_096;

/// Why a saga has no trace.
#[derive(Debug, thiserror::Error)]
enum TailError {
    /// Its journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Its rows do not fit its definition.
    #[error(transparent)]
    Fold(#[from] FoldError),
}

/// A saga whose spans are wanted, up to a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct TailRequest {
    pub(super) saga: SagaId,
    pub(super) version: u32,
}

/// The way to the reader. It never waits: what does not fit is counted and left out.
#[derive(Debug)]
pub(super) struct TailQueue(mpsc::Sender<TailRequest>);

/// Reads journals, one after the other, so that sagas that go on keep the store for themselves.
#[derive(Debug)]
pub(crate) struct TailReader {
    wanted: mpsc::Receiver<TailRequest>,
    sink: Arc<dyn SpanSink>,
    guards: Arc<GuardRegistry>,
}

pub(super) fn queue(sink: Arc<dyn SpanSink>, guards: Arc<GuardRegistry>) -> (TailQueue, TailReader) {
    let (sender, wanted) = mpsc::channel(WAITING);
    (TailQueue(sender), TailReader { wanted, sink, guards })
}

impl TailQueue {
    pub(super) fn ask(&self, request: TailRequest) {
        if self.0.try_send(request).is_err() {
            metrics::counter!("saga_traces_dropped_total", "reason" => "queue").increment(1);
        }
    }
}

impl TailReader {
    /// Runs until all that ask are gone.
    pub(crate) async fn run(mut self, journal: JournalAccess) {
        while let Some(request) = self.wanted.recv().await {
            match self.spans(&journal, request).await {
                Ok(Some((trace, spans))) => self.sink.take(trace, spans),
                Ok(None) => {}
                Err(error) => {
                    warn!(saga = %request.saga, %error, "the saga has no trace: its journal cannot be read");
                    metrics::counter!("saga_traces_dropped_total", "reason" => "journal").increment(1);
                }
            }
        }
    }

    /// `None`: the saga is gone, or it was erased and has no trace any more.
    async fn spans(
        &self,
        journal: &JournalAccess,
        TailRequest { saga, version }: TailRequest,
    ) -> Result<Option<(TraceId, Vec<SagaSpan>)>, TailError> {
        let Some(recorded) = journal.read(saga).await? else { return Ok(None) };
        let Some(SagaEvent::SagaStarted { traceparent: given, .. }) =
            recorded.decisions.first().and_then(|decision| decision.events.first())
        else {
            return Ok(None);
        };
        if recorded.state.erased.is_some() {
            return Ok(None);
        }
        let context = TraceContext::of(saga, &traceparent(saga, given.as_deref()));
        let until = recorded.decisions.partition_point(|decision| decision.version <= version);
        let destination_of = |participant: &str| self.guards.destination(participant);
        let spans = spans::of_journal(&recorded.plan, saga, &recorded.decisions[..until], &destination_of)?;
        Ok(Some((context.trace, spans)))
    }
}
