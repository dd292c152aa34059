//! Many orders of every kind, for tests that disturb the engine meanwhile.

use crate::{
    engine::Engine,
    eventually::eventually,
    oracle::{Exempt, count_by_status, judge, statuses_by_key},
    participant::{Behaviour, Call, Script},
    world::World,
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// Every saga of a disturbed engine ends within this after the last disturbance.
pub const SETTLED: Duration = Duration::from_secs(120);

/// What the orders of this traffic run by. Each death of an engine can cost an attempt: its answer comes when the deadline has passed.
pub const DEFINITION: &str = r#"
retry: {attempts: 100, delay: 50ms, maxDelay: 500ms}
steps:
  - step: reserve
    do: inventory.ReserveStock
    with: {kind: "${ event.kind }"}
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    with: {kind: "${ event.kind }"}
    undo:
      do: POST payments/refunds
      retry: {attempts: forever, delay: 50ms, maxDelay: 500ms}
  - step: ship
    do: inventory.ShipParcel
    with: {kind: "${ event.kind }"}
    undo: inventory.RecallParcel
"#;

/// What becomes of an order, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Everybody agrees.
    Plain,
    /// Payments answers with a server error after the effect, and agrees when asked again.
    Flaky,
    /// There is no carrier: everything is undone.
    NoCarrier,
}

const KINDS: [Kind; 3] = [Kind::Plain, Kind::Flaky, Kind::NoCarrier];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Plain => "plain",
            Kind::Flaky => "flaky",
            Kind::NoCarrier => "noCarrier",
        }
    }

    fn end(self) -> &'static str {
        match self {
            Kind::Plain | Kind::Flaky => "completed",
            Kind::NoCarrier => "compensated",
        }
    }
}

/// The participant `inventory` of this traffic.
#[must_use]
pub fn inventory() -> Script {
    let refused = |call: &Call| call.command.ends_with(":ship:do") && is(call, Kind::NoCarrier);
    Script::default().when(move |call, _| refused(call).then(|| Behaviour::fail("no_carrier")))
}

/// The participant `payments` of this traffic.
#[must_use]
pub fn payments() -> Script {
    let flaky = |call: &Call, nth| call.command.ends_with(":charge:do") && is(call, Kind::Flaky) && nth == 1;
    Script::default().when(move |call, nth| flaky(call, nth).then(|| Behaviour::status(503).with_effect()))
}

fn is(call: &Call, kind: Kind) -> bool {
    call.body["kind"] == kind.name()
}

/// Places the orders `from..to`.
///
/// # Errors
/// When the broker does not take one.
pub async fn place(world: &World, from: usize, to: usize) -> Result<()> {
    for number in from..to {
        let kind = KINDS[number % KINDS.len()].name();
        world.order(&key(number), &json!({"kind": kind})).await?;
    }
    Ok(())
}

/// Waits until all of the orders `0..count` have ended as their kinds say, and judges them.
///
/// # Errors
/// When one does not end in time or otherwise than it must, or the oracle finds fault.
pub async fn ends_well(world: &World, engine: &Engine, count: usize) -> Result<()> {
    all_end(world, engine, count).await?;
    let (_, listed) = engine.api().get("/api/sagas?limit=1000").await?;
    let statuses = listed["sagas"].as_array().into_iter().flatten().map(key_and_status).collect();
    ended_as_their_kinds_say(&statuses, count)?;
    judge(world, Exempt::default()).await
}

async fn all_end(world: &World, engine: &Engine, count: usize) -> Result<()> {
    let all = || async {
        let counts = count_by_status(world).await?;
        let ended: usize = ["completed", "compensated"].iter().filter_map(|status| counts.get(*status)).sum();
        ensure!(ended == count, "of {count} sagas there are {counts:?}");
        Ok(Some(()))
    };
    let ended = eventually("all sagas have ended", SETTLED, all).await;
    if let Err(error) = ended {
        let (_, open) = engine.api().get("/api/sagas?status=running,waiting,compensating,parked&limit=3").await?;
        anyhow::bail!("{error:#}\nfor example {open:#}\n--- the end of the engine's log\n{}", engine.log_tail());
    }
    Ok(())
}

/// The same of any number of orders, by the rows of the database alone.
///
/// # Errors
/// As [`ends_well`].
pub async fn ends_well_in_the_store(world: &World, engine: &Engine, count: usize) -> Result<()> {
    all_end(world, engine, count).await?;
    ended_as_their_kinds_say(&statuses_by_key(world).await?, count)?;
    judge(world, Exempt::default()).await
}

fn ended_as_their_kinds_say(statuses: &BTreeMap<String, String>, count: usize) -> Result<()> {
    for number in 0..count {
        let expected = KINDS[number % KINDS.len()].end();
        let found = statuses.get(&key(number)).map(String::as_str);
        ensure!(found == Some(expected), "order {number} is {found:?}, not {expected}");
    }
    Ok(())
}

fn key(number: usize) -> String {
    format!("order-{number}")
}

fn key_and_status(saga: &Value) -> (String, String) {
    let text = |name: &str| saga[name].as_str().unwrap_or_default().to_owned();
    (text("key"), text("status"))
}
