//! What a new owner does first: read the journals of what is open, and let leave again what was not answered.

use super::{
    live::{Live, Slot},
    owned::Owned,
    until_answered,
};
use crate::{
    engine::Parts,
    journal::{self, Recorded},
};
use saga_core::{
    id::{SagaId, Shard},
    input::Input,
};
use saga_event_store::Row;
use std::time::Duration;
use tracing::{error, info, warn};
use uuid::Uuid;

/// Sagas of one page.
const PAGE: u32 = 500;
/// Between two tries to read one saga while the store is away.
const READ_AGAIN: Duration = Duration::from_millis(500);

/// Reads one saga, waiting for a store that is away.
pub(super) async fn read(parts: &Parts, saga: SagaId) -> Result<Option<Recorded>, journal::Error> {
    loop {
        match journal::read(parts.store.as_ref(), &parts.plans, saga).await {
            Err(error) if error.is_transient() => {
                warn!(%saga, %error, "the saga cannot be read yet; trying again");
                tokio::time::sleep(READ_AGAIN).await;
            }
            answer => return answer,
        }
    }
}

impl Owned {
    /// Folds every open saga of the shard. What is outstanding leaves again under the same ids, after what is due has been looked at.
    pub(super) async fn recover(&mut self) {
        let (mut after, mut sagas) = (None, 0usize);
        loop {
            let page = open_page(&self.parts, self.shard, after).await;
            let Some(last) = page.last().copied() else { break };
            sagas += page.len();
            after = Some(last);
            let mut left = page;
            while !left.is_empty() {
                let portion =
                    until_answered("read journals", || self.parts.store.read_within(&left, journal::PORTION_BYTES))
                        .await;
                left = portion.left;
                for (saga, rows) in journal::by_saga(portion.rows) {
                    self.take_over(saga, rows).await;
                }
            }
        }
        if sagas > 0 {
            info!(shard = self.shard.0, sagas, "open sagas taken over");
        }
    }

    async fn take_over(&mut self, saga: SagaId, rows: Vec<Row>) {
        match fold(&self.parts, saga, rows).await {
            Ok(Some(recorded)) => self.put_to_work(saga, recorded),
            Ok(None) => {}
            Err(error) => leave_out(saga, &error),
        }
    }

    fn put_to_work(&mut self, saga: SagaId, recorded: Recorded) {
        let due = recorded.state.next_due_beside_guards(&recorded.plan);
        let mut live = Box::new(Live::taken_over(recorded.plan, recorded.state));
        if due.is_some_and(|due| due <= self.parts.clock.now()) {
            self.sagas.insert(saga, Slot::Ready(live));
            self.take_input(saga, crate::engine::message::Message::of(saga, Input::TimeReached));
            return;
        }
        self.perform(saga, &mut live);
        self.due.set(saga, due);
        self.go_on(saga, live);
    }
}

async fn fold(parts: &Parts, saga: SagaId, rows: Vec<Row>) -> Result<Option<Recorded>, journal::Error> {
    match journal::fold(parts.store.as_ref(), &parts.plans, saga, rows).await {
        Err(error) if error.is_transient() => read(parts, saga).await,
        answer => answer.map(Some),
    }
}

async fn open_page(parts: &Parts, shard: Shard, after: Option<Uuid>) -> Vec<Uuid> {
    until_answered("list open sagas", || parts.store.open_streams(shard.0, after, PAGE)).await
}

/// One saga that cannot be read must not stop the shard: it stays as it is, and says so at every start.
pub(super) fn leave_out(saga: SagaId, error: &journal::Error) {
    metrics::counter!("saga_unreadable_total").increment(1);
    error!(%saga, error = error as &dyn std::error::Error, "the saga cannot be read; the shard goes on without it");
}
