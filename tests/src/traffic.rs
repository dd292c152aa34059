//! Many orders of every kind, for tests that disturb the engine meanwhile.

use crate::{
    engine::Engine,
    eventually::eventually,
    oracle::{OracleExemption, count_by_status, judge},
    participant::{ParticipantScript, RecordedCall, ScriptedBehaviour},
    world::TestWorld,
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Every saga of a disturbed engine ends within this after the last disturbance.
pub const SETTLED: Duration = Duration::from_secs(120);

/// What the orders of this traffic run by. Each death of an engine can cost an attempt: its answer comes when the
/// deadline has passed.
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

/// How sagas end.
const TERMINAL: [&str; 3] = ["completed", "compensated", "abandoned"];

/// What becomes of an order, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OrderKind {
    /// Everybody agrees.
    Plain,
    /// Payments answers with a server error after the effect, and agrees when asked again.
    Flaky,
    /// There is no carrier: everything is undone.
    NoCarrier,
}

const KINDS: [OrderKind; 3] = [OrderKind::Plain, OrderKind::Flaky, OrderKind::NoCarrier];

impl OrderKind {
    fn name(self) -> &'static str {
        match self {
            OrderKind::Plain => "plain",
            OrderKind::Flaky => "flaky",
            OrderKind::NoCarrier => "noCarrier",
        }
    }

    fn end(self) -> &'static str {
        match self {
            OrderKind::Plain | OrderKind::Flaky => "completed",
            OrderKind::NoCarrier => "compensated",
        }
    }
}

/// The participant `inventory` of this traffic.
#[must_use]
pub fn inventory() -> ParticipantScript {
    let refused = |call: &RecordedCall| call.command.ends_with(":ship:do") && is(call, OrderKind::NoCarrier);
    ParticipantScript::default().when(move |call, _| refused(call).then(|| ScriptedBehaviour::fail("no_carrier")))
}

/// The participant `payments` of this traffic.
#[must_use]
pub fn payments() -> ParticipantScript {
    let flaky =
        |call: &RecordedCall, nth| call.command.ends_with(":charge:do") && is(call, OrderKind::Flaky) && nth == 1;
    ParticipantScript::default()
        .when(move |call, nth| flaky(call, nth).then(|| ScriptedBehaviour::status(503).with_effect()))
}

fn is(call: &RecordedCall, kind: OrderKind) -> bool {
    call.body["kind"] == kind.name()
}

/// How the engine calls the participants of this traffic. A third of the first charges fail, and many first charges are
/// under way together when a disturbance is over: the breaker opens seldom, and one probe that succeeds closes it, so
/// that luck does not decide when sagas end.
///
/// # Errors
/// When the file of the participants cannot be written.
pub fn participants(world: &TestWorld) -> Result<()> {
    let breaker = json!({"failureRate": 0.7, "openFor": "2s", "maxOpenFor": "4s", "probes": 1});
    world.participants(&json!({"timeout": "3s"}), &json!({"timeout": "3s", "breaker": breaker}))
}

/// Places the orders `from..to`.
///
/// # Errors
/// When the broker does not take one.
pub async fn place(world: &TestWorld, from: usize, to: usize) -> Result<()> {
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
pub async fn ends_well(world: &TestWorld, engine: &Engine, count: usize) -> Result<()> {
    all_end(world, engine, count).await?;
    let (_, listed) = engine.api().get("/api/sagas?limit=1000").await?;
    let statuses = listed["sagas"].as_array().into_iter().flatten().map(key_and_status).collect();
    ended_as_their_kinds_say(&statuses, count, &BTreeSet::new())?;
    judge(world, OracleExemption::default()).await
}

/// Waits until there are `count` sagas, of orders or of others, and all have ended.
///
/// # Errors
/// When one does not end within [`SETTLED`]; the message shows some that are open, and the end of the engine's log.
pub async fn all_end(world: &TestWorld, engine: &Engine, count: usize) -> Result<()> {
    let all = || async {
        let counts = count_by_status(world).await?;
        ensure!(ended(&counts) == count, "of {count} sagas there are {counts:?}");
        Ok(Some(()))
    };
    let ended = eventually("all sagas have ended", SETTLED, all).await;
    if let Err(error) = ended {
        let (_, open) = engine.api().get("/api/sagas?status=running,waiting,compensating,parked&limit=3").await?;
        anyhow::bail!("{error:#}\nfor example {open:#}\n--- the end of the engine's log\n{}", engine.log_tail());
    }
    Ok(())
}

/// How many of these sagas have ended.
#[must_use]
pub fn ended(counts: &BTreeMap<String, usize>) -> usize {
    TERMINAL.iter().filter_map(|status| counts.get(*status)).sum()
}

/// How many of the orders `0..count` have ended.
///
/// # Errors
/// When the database does not answer.
pub async fn ended_orders(world: &TestWorld, count: usize) -> Result<usize> {
    let ended = "SELECT count(*) FROM streams \
                 WHERE status = ANY($1) AND key LIKE 'order-%' AND substr(key, 7)::bigint < $2";
    let terminal = TERMINAL.map(str::to_owned).to_vec();
    let query = sqlx::query_scalar(ended).bind(terminal).bind(i64::try_from(count)?);
    let ended: i64 = query.fetch_one(&world.database.pool().await?).await?;
    Ok(usize::try_from(ended)?)
}

/// Holds the orders `0..count` to their kinds, but for those with a key of `acted`: an operator decided otherwise.
///
/// # Errors
/// Names the first that ended otherwise.
pub fn ended_as_their_kinds_say(
    statuses: &BTreeMap<String, String>,
    count: usize,
    acted: &BTreeSet<String>,
) -> Result<()> {
    for (number, key) in (0..count).map(|number| (number, key(number))) {
        let expected = KINDS[number % KINDS.len()].end();
        let found = statuses.get(&key).map(String::as_str);
        let by_act = acted.contains(&key) && found.is_some_and(|found| TERMINAL.contains(&found));
        ensure!(by_act || found == Some(expected), "order {number} is {found:?}, not {expected}");
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
