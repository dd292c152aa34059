//! Starts of sagas, and what becomes of a second one with the same key.

use super::{
    live::{InFlight, Live, Slot},
    owned::Owned,
};
use crate::{
    engine::{
        dispatch::Admissions,
        message::{Body, Disposition, Message},
    },
    kafka::poison::PoisonCode,
    panics::caught,
};
use saga_core::{decide, id::SagaId, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tracing::warn;
use uuid::Uuid;

impl Owned {
    /// A second start with the same key waits for the first: only the store can tell whether that one will be there.
    pub(super) fn take_start(&mut self, message: Message) {
        let Body::Start { plan, start } = &message.body else { return };
        let key = (plan.definition.name.clone(), start.key.clone());
        let Some(message) = self.starting.begin(key, message) else { return };
        let Body::Start { plan, start } = &message.body else { return };
        let plan = Arc::clone(plan);
        let start = start.as_ref().clone();
        let now = self.parts.clock.now();
        let id = SagaId::new(now, self.shard, fastrand::u64(..));
        let mut admissions = Admissions::new(&self.parts, now);
        let started = caught(|| admissions.during(|context| decide::start(&plan, id, start, context)));
        let (decision, state) = match started {
            Ok(started) => started,
            Err(panic) => return self.start_impossible(message, &panic),
        };
        let mut live = Box::new(Live::new(plan, state));
        live.permits = admissions.into_permits();
        self.append(id, &mut live, message, decision);
        self.sagas.insert(id, Slot::Ready(live));
    }

    /// Nothing is recorded of it; whoever waits for the key may try.
    fn start_impossible(&mut self, message: Message, reason: &str) {
        let Body::Start { plan, start } = &message.body else { return };
        let key = (plan.definition.name.clone(), start.key.clone());
        self.set_aside(message, PoisonCode::IllegalInput, reason);
        for message in self.starting.end(&key) {
            self.take_start(message);
        }
    }

    pub(super) fn duplicate(&mut self, live: &Live, in_flight: InFlight, stream: Uuid, payload_hash: [u8; 32]) {
        let other_payload = payload_hash != self::payload_hash(&live.state.trigger.event);
        report_duplicate(live, stream, other_payload);
        let disposition = match SagaId::from_uuid(stream) {
            Some(saga) => Disposition::Duplicate { saga, other_payload },
            None => Disposition::Ignored("the key is taken by a stream that is not a saga".into()),
        };
        in_flight.message.receipt.settle(disposition);
        self.start_ended(live);
    }

    /// Starts that waited for this one are tried in turn.
    pub(super) fn start_ended(&mut self, live: &Live) {
        if live.state.version != 1 {
            return;
        }
        for message in self.starting.end(&(live.plan.definition.name.clone(), live.state.key.clone())) {
            self.take_start(message);
        }
    }
}

/// Of the decoded payload with its keys sorted: the same event produced twice is the same, however it and its numbers were written.
pub(super) fn payload_hash(event: &serde_json::Value) -> [u8; 32] {
    Sha256::digest(json::canonical(event)).into()
}

fn report_duplicate(live: &Live, stream: Uuid, other_payload: bool) {
    let trigger = &live.state.trigger;
    let other = if other_payload { "yes" } else { "no" };
    metrics::counter!("saga_duplicates_total", "other_payload" => other).increment(1);
    if other_payload {
        warn!(
            saga = live.plan.definition.name, key = live.state.key, taken_by = %stream,
            record = format!("{}/{}/{}", trigger.topic, trigger.partition, trigger.offset),
            "a trigger with another payload came under a key that is taken; it is ignored"
        );
    }
}
