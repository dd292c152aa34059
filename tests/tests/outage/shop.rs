//! Three participants, one of which is bad at times, and three kinds of sagas, one of which needs it.

use super::Phase;
use anyhow::Result;
use saga_tests::{
    kafka::TopicRecord,
    pace::EndPace,
    participant::{HttpParticipant, ParticipantScript, ScriptedBehaviour, TestParticipant},
    world::TestWorld,
};
use serde_json::json;
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// Sagas a second, of all kinds: a third of what two cores carry with an engine that was built for debugging.
const RATE: u32 = 50;
/// Orders are four in ten, parcels and trips three each.
const MIX: [Kind; 10] = {
    use Kind::{Order, Parcel, RefusedOrder, Trip};
    [Order, Parcel, Trip, Order, Parcel, Trip, Order, Parcel, Trip, RefusedOrder]
};
/// Of the bad participant: short, so that a run of two minutes sees it open and close more than once.
const BREAKER: &str = r#"{"window": "5s", "openFor": "2s", "maxOpenFor": "8s", "probes": 3, "ramp": "5s"}"#;

const ORDER: &str = r"
retry: {attempts: 10, delay: 200ms, maxDelay: 2s}
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
  - step: ship
    do: inventory.ShipParcel
    with: {refused: '${ event.refused }'}
    undo: inventory.RecallParcel
";

const PARCEL: &str = r"
steps:
  - step: pack
    do: inventory.PackParcel
    undo: inventory.UnpackParcel
  - step: hand
    do: inventory.HandParcelOver
    undo: inventory.RecallParcel
";

const TRIP: &str = r"
steps:
  - step: flight
    do: POST travel/flights
    undo: POST travel/flights/cancellations
  - step: hotel
    do: POST travel/hotels
    undo: POST travel/hotels/cancellations
";

/// What a saga does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Needs the bad participant.
    Order,
    /// Needs it twice: nobody ships it, so that the charge is taken back.
    RefusedOrder,
    /// Only needs a good participant over Kafka.
    Parcel,
    /// Only needs a good participant over HTTP.
    Trip,
}

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Order, Kind::RefusedOrder, Kind::Parcel, Kind::Trip];
    /// Those that do not need the bad participant.
    pub(super) const GOOD: [Kind; 2] = [Kind::Parcel, Kind::Trip];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Order => "order",
            Kind::RefusedOrder => "refused",
            Kind::Parcel => "parcel",
            Kind::Trip => "trip",
        }
    }

    fn event(self) -> &'static str {
        match self {
            Kind::Order | Kind::RefusedOrder => "OrderPlaced",
            Kind::Parcel => "ParcelAnnounced",
            Kind::Trip => "TripBooked",
        }
    }

    /// How it ends, whatever happens to participants.
    pub(super) fn end(self) -> &'static str {
        match self {
            Kind::Order | Kind::Parcel | Kind::Trip => "completed",
            Kind::RefusedOrder => "compensated",
        }
    }
}

/// What the bad participant does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    FailsSometimes,
    Hangs,
    Dead,
}

/// A trigger that was published.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) key: String,
    pub(super) kind: Kind,
    pub(super) phase: Phase,
    /// In milliseconds since 1970.
    pub(super) at: i64,
}

/// An installation under load.
pub(super) struct Shop {
    pub(super) world: TestWorld,
    pub(super) travel: HttpParticipant,
    mood: watch::Sender<Mood>,
    placed: Vec<Placed>,
}

impl Shop {
    /// `None`: a server is missing, which has been reported.
    pub(super) async fn new() -> Result<Option<Shop>> {
        let (mood, seen) = watch::channel(Mood::Well);
        let Some(world) = TestWorld::new(inventory(), payments(seen)).await? else { return Ok(None) };
        let travel = HttpParticipant::start(TestParticipant::new(ParticipantScript::default()))?;
        let breaker: serde_json::Value = serde_json::from_str(BREAKER)?;
        world.installation.participants(&json!({
            "inventory": {"kafka": {"commands": world.inventory.topic()}, "timeout": "30s"},
            "payments": {"http": {"url": world.payments.url()}, "timeout": "1s", "breaker": breaker},
            "travel": {"http": {"url": travel.url()}, "timeout": "30s"},
        }))?;
        for (kind, steps) in [(Kind::Order, ORDER), (Kind::Parcel, PARCEL), (Kind::Trip, TRIP)] {
            let (name, topic, event) = (kind.name(), &world.orders, kind.event());
            let trigger = format!("trigger: {{topic: {topic}, type: {event}, key: \"${{ event.id }}\"}}");
            world.installation.definition(name, &format!("saga: {name}\n{trigger}\n{steps}"))?;
        }
        Ok(Some(Shop { world, travel, mood, placed: Vec::new() }))
    }

    /// The bad participant does as `mood` says from now on.
    pub(super) async fn is(&mut self, mood: Mood) -> Result<()> {
        self.mood.send_replace(mood);
        match mood {
            Mood::Dead => self.world.payments.die().await,
            Mood::Well | Mood::FailsSometimes | Mood::Hangs => self.world.payments.revive(),
        }
    }

    /// Publishes triggers at the rate of this run for so long.
    pub(super) async fn offer(&mut self, phase: Phase, length: Duration) -> Result<()> {
        let mut pace = EndPace::new(RATE, length);
        while pace.turn().await.is_some() {
            let number = self.placed.len();
            let kind = MIX[number % MIX.len()];
            let key = format!("{}-{number}", kind.name());
            let payload = json!({"id": key, "refused": kind == Kind::RefusedOrder});
            let at = now()?;
            self.world.send(&self.world.orders, &TopicRecord::event(kind.event(), &key, &payload)).await?;
            self.placed.push(Placed { key, kind, phase, at });
        }
        Ok(())
    }

    pub(super) fn placed(&self) -> &[Placed] {
        &self.placed
    }
}

/// In milliseconds since 1970, as the journal has it.
pub(super) fn now() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

fn inventory() -> ParticipantScript {
    ParticipantScript::default().when(|call, _| {
        let refused = call.command.ends_with(":ship:do") && call.body["refused"] == true;
        refused.then(|| ScriptedBehaviour::fail("no_carrier"))
    })
}

fn payments(mood: watch::Receiver<Mood>) -> ParticipantScript {
    let calls = AtomicU32::new(0);
    ParticipantScript::default().when(move |_, _| match *mood.borrow() {
        Mood::Well | Mood::Dead => None,
        Mood::FailsSometimes => fails_three_of_ten(calls.fetch_add(1, Ordering::Relaxed)),
        Mood::Hangs => Some(ScriptedBehaviour::silence().with_effect()),
    })
}

/// Some failures hide that the work was done.
fn fails_three_of_ten(nth: u32) -> Option<ScriptedBehaviour> {
    match nth % 10 {
        1 | 4 => Some(ScriptedBehaviour::status(503)),
        8 => Some(ScriptedBehaviour::status(503).with_effect()),
        _ => None,
    }
}
