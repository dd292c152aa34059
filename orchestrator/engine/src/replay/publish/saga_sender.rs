//! Several sagas' records on their way at the same time, at a rate.

use super::{
    PublishEnd, PublishError, PublishFailure, PublishReport, PublishTarget, RecordRate, SelectedRecord,
    pace::RecordPacer,
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use saga_core::id::SagaId;
use std::pin::pin;
use tokio_util::sync::CancellationToken;

/// Sagas whose records are on their way at the same time: enough for full batches, few enough to be sent again after
/// an interruption.
const SAGAS_IN_FLIGHT: usize = 64;

/// What became of the records of one saga.
type SentSaga = (SagaId, Result<Vec<SelectedRecord>, PublishFailure>);

/// Sends the records of sagas, and tells the position in the order of the sagas.
pub(super) struct SagaSender<'a, K> {
    target: &'a PublishTarget,
    stop: &'a CancellationToken,
    pacer: RecordPacer,
    under_way: FuturesOrdered<BoxFuture<'static, SentSaga>>,
    settled: SettledSagas<K>,
}

/// The sagas whose records were delivered, up to the first failure.
struct SettledSagas<K> {
    report: PublishReport,
    keep: K,
    failure: Option<PublishFailure>,
}

impl<K: FnMut(SagaId, &PublishReport) -> Result<(), std::io::Error>> SettledSagas<K> {
    /// False: a record was not delivered.
    fn settle(&mut self, (saga, sent): SentSaga) -> Result<bool, PublishError> {
        match sent {
            Ok(records) => {
                self.report.add(&records);
                (self.keep)(saga, &self.report)?;
            }
            Err(failure) => self.failure = Some(failure),
        }
        Ok(self.failure.is_none())
    }
}

impl<'a, K: FnMut(SagaId, &PublishReport) -> Result<(), std::io::Error>> SagaSender<'a, K> {
    pub(super) fn new(
        (target, rate): (&'a PublishTarget, Option<RecordRate>),
        stop: &'a CancellationToken,
        keep: K,
    ) -> SagaSender<'a, K> {
        let settled = SettledSagas { report: PublishReport::default(), keep, failure: None };
        SagaSender { target, stop, pacer: RecordPacer::new(rate), under_way: FuturesOrdered::new(), settled }
    }

    pub(super) fn report_mut(&mut self) -> &mut PublishReport {
        &mut self.settled.report
    }

    /// Begins to send the records when their time has come; false: nothing more is to be sent.
    ///
    /// # Errors
    /// When the position cannot be kept.
    pub(super) async fn send(&mut self, saga: SagaId, records: Vec<SelectedRecord>) -> Result<bool, PublishError> {
        if !self.paced(records.len()).await? {
            return Ok(false);
        }
        self.under_way.push_back(self.target.send_all(saga, records));
        while self.under_way.len() >= SAGAS_IN_FLIGHT
            && let Some(sent) = self.under_way.next().await
        {
            if !self.settled.settle(sent)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits for the time of so many records; what is on its way goes on meanwhile.
    async fn paced(&mut self, records: usize) -> Result<bool, PublishError> {
        let SagaSender { stop, pacer, under_way, settled, .. } = self;
        let mut time = pin!(pacer.take(records, stop));
        loop {
            tokio::select! {
                biased;
                may_pass = &mut time => return Ok(may_pass && !stop.is_cancelled()),
                Some(sent) = under_way.next(), if !under_way.is_empty() => {
                    if !settled.settle(sent)? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// What is on its way is awaited: its position is kept, and less is sent again.
    ///
    /// # Errors
    /// When the position cannot be kept.
    pub(super) async fn end(mut self) -> Result<(PublishReport, PublishEnd), PublishError> {
        while self.settled.failure.is_none()
            && let Some(sent) = self.under_way.next().await
        {
            self.settled.settle(sent)?;
        }
        let SettledSagas { report, failure, .. } = self.settled;
        let end = match failure {
            Some(failure) => PublishEnd::Failed(failure),
            None if self.stop.is_cancelled() => PublishEnd::Stopped,
            None => PublishEnd::Done,
        };
        Ok((report, end))
    }
}
