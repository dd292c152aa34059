//! A participant that dies while sagas are under way.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, http_client},
    eventually::eventually,
    oracle::{OracleExemption, judge},
    participant::{ParticipantScript, RecordedCall, ScriptGate, ScriptedBehaviour, ScriptedDelivery},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

const ORDER: &str = r#"
retry: {attempts: 30, delay: 50ms, maxDelay: 200ms}
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    with: {order: "${ event.orderId }"}
    undo:
      do: POST payments/refunds
      retry: {attempts: forever, delay: 50ms, maxDelay: 200ms}
  - step: ship
    do: inventory.ShipParcel
    with: {refused: "${ event.refused }"}
    undo: inventory.RecallParcel
"#;

/// Charged when the participant dies, and refused by the carrier after that: their charges have to be taken back.
const REFUSED: usize = 4;
/// Placed while the participant is dead.
const LATE: usize = 6;
/// Its call is out when the participant dies, and has had its effect.
const FLYING: &str = "flying";

struct Outage {
    world: TestWorld,
    engine: Engine,
    carrier: ScriptGate,
}

async fn world() -> Result<Option<Outage>> {
    let carrier = ScriptGate::default();
    let held = ScriptedDelivery::Held(carrier.clone());
    let refused = |call: &RecordedCall| call.command.ends_with(":ship:do") && call.body["refused"] == true;
    let refuse = move || ScriptedBehaviour::fail("no_carrier").delivered(held.clone());
    let inventory = ParticipantScript::default().when(move |call, _| refused(call).then(&refuse));
    let flying = |call: &RecordedCall, nth| call.body["order"] == FLYING && nth == 1;
    let silent = || ScriptedBehaviour::silence().with_effect();
    let payments = ParticipantScript::default().when(move |call, nth| flying(call, nth).then(silent));
    let Some(world) = TestWorld::new(inventory, payments).await? else { return Ok(None) };
    // One call at a time, so that the order in which they leave is that in which they arrive.
    let breaker = json!({"consecutiveFailures": 2, "openFor": "500ms", "maxOpenFor": "500ms", "probes": 1});
    world.participants(&json!({"timeout": "60s"}), &json!({"timeout": "60s", "bulkhead": 1, "breaker": breaker}))?;
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    Ok(Some(Outage { world, engine, carrier }))
}

fn refused() -> Vec<String> {
    (0..REFUSED).map(|number| format!("refused-{number}")).collect()
}

fn late() -> Vec<String> {
    (0..LATE).map(|number| format!("late-{number}")).collect()
}

impl Outage {
    async fn place(&self, keys: &[String], refused: bool) -> Result<()> {
        for key in keys {
            self.world.order(key, &json!({"refused": refused})).await?;
        }
        Ok(())
    }

    /// Waits until so many commands that end so have arrived at one of the participants.
    async fn arrive(&self, count: usize, ending: &str) -> Result<()> {
        eventually(&format!("{count} × {ending}"), WITHIN, || async {
            let arrived = |ledger: &saga_tests::participant::EffectLedger| {
                ledger.calls().iter().filter(|call| call.command.ends_with(ending)).count()
            };
            Ok((self.world.ledgers().iter().map(arrived).sum::<usize>() >= count).then_some(()))
        })
        .await
    }

    /// Waits until exactly the sagas of these keys wait on a guard of the participant.
    async fn wait_on_payments(&self, keys: &[&[String]]) -> Result<()> {
        let expected: BTreeSet<&str> = keys.iter().copied().flatten().map(String::as_str).collect();
        eventually("all that need payments wait for them", WITHIN, || async {
            let (_, answer) = self.engine.api().get("/api/sagas?waitingOn=payments&limit=1000").await?;
            let sagas = answer["sagas"].as_array().with_context(|| answer.to_string())?;
            let waiting: BTreeSet<&str> = sagas.iter().filter_map(|saga| saga["key"].as_str()).collect();
            ensure!(waiting == expected, "{waiting:?}");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until so many more calls to payments have failed.
    async fn fail(&self, more: u64) -> Result<()> {
        let before = self.failed().await?;
        eventually("probes fail", WITHIN, || async { Ok((self.failed().await? >= before + more).then_some(())) }).await
    }

    async fn failed(&self) -> Result<u64> {
        let url = format!("{}/metrics", self.engine.api().base());
        let text = http_client()?.get(url).send().await?.text().await?;
        let name = r#"resilience4j_circuitbreaker_calls_seconds_count{name="payments",kind="failed"} "#;
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(found.map(str::parse).transpose()?.unwrap_or(0))
    }
}

/// Rows of the journal by the saga's key.
async fn rows(world: &TestWorld, keys: &[String]) -> Result<BTreeMap<String, i64>> {
    let query = "SELECT key, count(*) FROM streams JOIN journal USING (stream) WHERE key = ANY ($1) GROUP BY key";
    let rows: Vec<(String, i64)> = sqlx::query_as(query).bind(keys).fetch_all(&world.database.pool().await?).await?;
    Ok(rows.into_iter().collect())
}

#[tokio::test]
async fn what_needs_a_dead_participant_waits_and_goes_on_when_it_is_back_undos_first() -> Result<()> {
    let Some(mut outage) = world().await? else { return Ok(()) };
    let flying = [FLYING.to_owned()];
    outage.place(&refused(), true).await?;
    outage.arrive(REFUSED, ":ship:do").await?;
    outage.place(&flying, false).await?;
    outage.arrive(REFUSED + 1, ":charge:do").await?;

    outage.world.payments.die().await?;
    outage.fail(2).await?;
    outage.carrier.open();
    for key in refused() {
        reaches(&outage.engine, &key, &["compensating"]).await?;
    }
    outage.place(&late(), false).await?;
    for key in late() {
        reaches(&outage.engine, &key, &["waiting"]).await?;
    }
    let all = [&refused()[..], &flying, &late()];
    outage.wait_on_payments(&all).await?;
    let first = rows(&outage.world, &late()).await?;
    assert!(first.len() == LATE && first.values().all(|rows| *rows == 2), "begun, and reserved and waiting: {first:?}");
    let failed = outage.failed().await?;
    outage.fail(3).await?;
    let later = rows(&outage.world, &late()).await?;
    let called = later.iter().filter(|(key, now)| first[*key] != **now).count();
    let probes = usize::try_from(outage.failed().await? - failed)? + 1;
    assert!(called <= probes, "of {probes} probes rows were written for {called}: {later:?}");

    let before = outage.world.payments.participant().ledger().calls().len();
    outage.world.payments.revive()?;
    // Whoever waits for a time of its own may go on as well: nothing but the order of the line is left.
    let act = json!({"who": "ada", "reason": "they are back"});
    let (status, body) = outage.engine.api().post("/api/guards/payments/reset", &act).await?;
    ensure!(status.is_success(), "{body}");
    for key in [&flying[..], &late()].concat() {
        reaches(&outage.engine, &key, &["completed"]).await?;
    }
    for key in refused() {
        reaches(&outage.engine, &key, &["compensated"]).await?;
    }
    let calls: Vec<String> =
        outage.world.payments.participant().ledger().calls()[before..].iter().map(|call| call.target.clone()).collect();
    // A probe that is out, one that rests after it, and one that is called beside the last undo may be elsewhere.
    let undos = calls.iter().take(REFUSED).filter(|target| target.ends_with("refunds")).count();
    assert!(undos >= REFUSED / 2, "undos go first: {calls:?}");
    outage.wait_on_payments(&[]).await?;
    assert_eq!(outage.world.kafka.count(outage.world.installation.dlq()).await?, 0, "nothing is a dead letter");
    judge(&outage.world, OracleExemption::default()).await
}

/// Four sagas with four attempts each wait for a participant that answers the first forty calls with an error of its
/// own.
#[tokio::test]
async fn who_waits_at_the_front_of_the_line_is_not_undone() -> Result<()> {
    let calls = AtomicU32::new(0);
    let payments = ParticipantScript::default().on("charge:do", move |_| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        if call < 40 { ScriptedBehaviour::status(503) } else { ScriptedBehaviour::succeed(json!({})) }
    });
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    let breaker = json!({"consecutiveFailures": 2, "openFor": "50ms", "maxOpenFor": "50ms", "probes": 1});
    world.participants(&json!({}), &json!({"breaker": breaker}))?;
    world.define(
        "order",
        "retry: {attempts: 4, delay: 10ms, maxDelay: 10ms}\nsteps: [{step: charge, do: POST payments/charges, undo: POST payments/refunds}]\n",
    )?;
    let engine = world.start().await?;
    for order in 0..4 {
        world.order(&order.to_string(), &json!({})).await?;
    }
    for order in 0..4 {
        reaches(&engine, &order.to_string(), &["completed"]).await?;
    }
    Ok(())
}

/// Charges work and refunds do not, and refunds are the first in line.
#[tokio::test]
async fn undos_that_a_participant_cannot_perform_do_not_keep_its_dos_waiting() -> Result<()> {
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&is_mended);
    let payments = ParticipantScript::default().on("charge:undo", move |_| {
        if mended.load(Ordering::Relaxed) {
            ScriptedBehaviour::succeed(json!({}))
        } else {
            ScriptedBehaviour::status(503)
        }
    });
    let refused = |call: &RecordedCall| call.command.ends_with(":ship:do") && call.body["refused"] == true;
    let inventory =
        ParticipantScript::default().when(move |call, _| refused(call).then(|| ScriptedBehaviour::fail("no_carrier")));
    let Some(world) = TestWorld::new(inventory, payments).await? else { return Ok(()) };
    let breaker = json!({"consecutiveFailures": 2, "openFor": "200ms", "maxOpenFor": "200ms", "probes": 1});
    world.participants(&json!({}), &json!({"breaker": breaker}))?;
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    for order in ["back-1", "back-2", "back-3"] {
        world.order(order, &json!({"refused": true})).await?;
    }
    eventually("all undos wait for the breaker", WITHIN, || async {
        let (_, answer) = engine.api().get("/api/sagas?waitingOn=payments&limit=1000").await?;
        let waiting = answer["sagas"].as_array().context("an array of sagas")?.len();
        ensure!(waiting == 3, "{waiting}");
        Ok(Some(()))
    })
    .await?;
    for order in ["on-1", "on-2", "on-3"] {
        world.order(order, &json!({"refused": false})).await?;
    }
    for order in ["on-1", "on-2", "on-3"] {
        reaches(&engine, order, &["completed"]).await?;
    }
    is_mended.store(true, Ordering::Relaxed);
    for order in ["back-1", "back-2", "back-3"] {
        reaches(&engine, order, &["compensated"]).await?;
    }
    judge(&world, OracleExemption::default()).await
}

/// Eight sagas at once for four calls a second, with less time for an attempt than most have to wait.
#[tokio::test]
async fn who_waits_for_the_rate_keeps_its_time_and_its_attempt_and_costs_a_row() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let rate = json!({"calls": 1, "per": "250ms", "burst": 1});
    world.participants(&json!({}), &json!({"timeout": "200ms", "rateLimit": rate}))?;
    let steps =
        "retry: {attempts: 1}\nsteps: [{step: charge, do: POST payments/charges, undo: POST payments/refunds}]\n";
    world.define("order", steps)?;
    let engine = world.start().await?;
    let keys: Vec<String> = (0..8).map(|order| order.to_string()).collect();
    for key in &keys {
        world.order(key, &json!({})).await?;
    }
    for key in &keys {
        reaches(&engine, key, &["completed"]).await?;
    }
    for (key, rows) in rows(&world, &keys).await? {
        assert!(rows <= 4, "begun, waiting, sent, answered: {key} has {rows}");
    }
    judge(&world, OracleExemption::default()).await
}
