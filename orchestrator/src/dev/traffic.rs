//! The customers: they produce orders to the broker, as any service would.

use super::{
    orders::{self, SampleOrder},
    watcher::TallySender,
};
use crate::startup::LoadedDefinitions;
use anyhow::bail;
use bytes::Bytes;
use saga_core::{definition::SagaDefinition, state::SagaPlan};
use saga_kafka::{KafkaProducer, producer::ProduceOutcome};
use saga_wire::{OutgoingRecord, record::text_header};
use std::{
    collections::BTreeSet,
    future,
    sync::Arc,
    time::{Duration, Instant},
};

/// Time between two orders without end: long enough to follow a saga by eye.
const PACE: Duration = Duration::from_secs(3);
/// One of this many orders without end is for another business than the shop.
const ELSEWHERE_EVERY: u32 = 4;
/// Orders of a batch that may be open at once; orders without an answer stay open for seconds.
const OPEN: usize = 64;
/// A run in which nothing ends for this long is stuck.
const STUCK: Duration = Duration::from_secs(60);
/// Maximum wait at the end for the sagas of produced orders to begin: the broker loses the orders with the process.
const BEGIN: Duration = Duration::from_secs(2);

/// The orders of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrafficMode {
    /// One order after another, without end.
    Trickle,
    /// This many orders of the shop.
    Batch(u32),
}

/// Which orders start sagas: by name of the definition, topic and type.
#[derive(Clone, Debug)]
pub(super) struct StartableOrders(BTreeSet<[String; 3]>);

impl StartableOrders {
    pub(super) fn of(loaded: &LoadedDefinitions) -> StartableOrders {
        let of = |plan: &Arc<SagaPlan>| {
            let SagaDefinition { name, trigger, .. } = plan.definition.as_ref();
            [name.to_string(), trigger.topic.clone(), trigger.event_type.clone().unwrap_or_default()]
        };
        StartableOrders(loaded.plans.iter().map(of).collect())
    }

    pub(super) fn includes(&self, order: &SampleOrder) -> bool {
        self.0.contains(&[order.saga, order.topic, order.event_type].map(str::to_owned))
    }

    fn any(&self) -> bool {
        (1..=3)
            .map(|number| orders::elsewhere("", number))
            .chain([orders::shop("", 1)])
            .any(|order| self.includes(&order))
    }
}

/// Produces orders to the broker and counts them.
#[derive(Debug)]
pub(super) struct OrderPublisher {
    pub(super) producer: KafkaProducer,
    /// Part of every key: tells the orders of this run from those of earlier runs.
    pub(super) run: String,
    pub(super) board: TallySender,
    pub(super) starts: StartableOrders,
}

impl OrderPublisher {
    /// Places the orders. A batch ends when every saga has ended or is parked, or when no saga ended for [`STUCK`];
    /// orders without end never return.
    ///
    /// # Errors
    /// When the broker does not take an order.
    pub(super) async fn place(&self, demand: TrafficMode) -> anyhow::Result<()> {
        match demand {
            TrafficMode::Trickle => self.trickle().await,
            TrafficMode::Batch(orders) => self.batch(orders).await,
        }
    }

    async fn trickle(&self) -> anyhow::Result<()> {
        if !self.starts.any() {
            return future::pending().await;
        }
        let (mut shop, mut elsewhere) = (0, 0);
        for turn in 1u32.. {
            let order = if turn % ELSEWHERE_EVERY == 0 {
                elsewhere += 1;
                orders::elsewhere(&self.run, elsewhere)
            } else {
                shop += 1;
                orders::shop(&self.run, shop)
            };
            if self.starts.includes(&order) {
                self.send(order).await?;
                tokio::time::sleep(PACE).await;
            }
        }
        Ok(())
    }

    async fn batch(&self, orders: u32) -> anyhow::Result<()> {
        for number in 1..=orders {
            if !self.until_at_most(OPEN - 1).await {
                return Ok(());
            }
            self.send(orders::shop(&self.run, number)).await?;
        }
        self.until_at_most(0).await;
        Ok(())
    }

    /// Whether no more than `open` sagas are unaccounted for now; false when nothing changed for too long.
    async fn until_at_most(&self, open: usize) -> bool {
        let mut tally = self.board.subscribe();
        loop {
            if tally.borrow_and_update().unaccounted() <= open {
                return true;
            }
            match tokio::time::timeout(STUCK, tally.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return false,
            }
        }
    }

    /// Waits until every produced order has started its saga, at most [`BEGIN`].
    pub(super) async fn until_begun(&self) {
        let mut tally = self.board.subscribe();
        // An order whose saga has not begun by then is not in the journal either, so no saga is incomplete.
        drop(tokio::time::timeout(BEGIN, tally.wait_for(|tally| tally.not_begun() == 0)).await);
    }

    async fn send(&self, order: SampleOrder) -> anyhow::Result<()> {
        let name = (order.saga.to_owned(), order.key.clone());
        self.board.send_modify(|tally| tally.ordered(name, Instant::now()));
        match self.producer.send(&record(order)).await {
            ProduceOutcome::Delivered { .. } => Ok(()),
            ProduceOutcome::Undelivered(reason) => bail!("the broker does not take an order: {reason}"),
        }
    }
}

pub(super) fn record(order: SampleOrder) -> OutgoingRecord {
    OutgoingRecord {
        topic: order.topic.into(),
        partition: None,
        key: Some(Bytes::from(order.key)),
        value: Some(Bytes::from(order.payload.to_string())),
        headers: vec![text_header("ce_type", order.event_type), text_header("content-type", "application/json")],
    }
}
