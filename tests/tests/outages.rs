//! Outages of ours that last longer than any attempt may: nobody is given up for them. One test at a time: they share
//! the servers.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    control::ServerAction,
    engine::{Engine, http_client},
    eventually::eventually,
    kafka::{ReceivedRecord, TopicRecord},
    oracle::{OracleExemption, count_by_status, judge},
    participant::{ParticipantScript, ScriptGate, ScriptedBehaviour, ScriptedDelivery},
    traffic::SETTLED,
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Held by the test that disturbs servers.
static SERVERS: Mutex<()> = Mutex::const_new(());
/// Sagas under way when the outage begins, each waiting for the answer to its only attempt.
const ORDERS: usize = 10;
/// Longer than an attempt, its step, and its saga may take together.
const OUTAGE: Duration = Duration::from_secs(14);

/// One attempt for each step; everybody answers when the gate opens.
const ONCE: &str = "
retry: {attempts: 1}
timeout: 12s
steps:
  - {step: reserve, do: inventory.ReserveStock, undo: inventory.ReleaseStock, timeout: 6s}
  - {step: charge, do: POST payments/charges, undo: POST payments/refunds}
";

struct Outage {
    world: TestWorld,
    engine: Option<Engine>,
    gate: ScriptGate,
}

impl Outage {
    /// Every saga waits for its reply.
    async fn begins() -> Result<Option<Outage>> {
        let gate = ScriptGate::default();
        let held = ScriptedDelivery::Held(gate.clone());
        let inventory = ParticipantScript::default()
            .on("reserve:do", move |_| ScriptedBehaviour::succeed(json!({})).delivered(held.clone()));
        let Some(world) = TestWorld::new(inventory, ParticipantScript::default()).await? else { return Ok(None) };
        world.participants(&json!({"timeout": "4s"}), &json!({"timeout": "4s"}))?;
        world.define("order", ONCE)?;
        let engine = Some(world.start().await?);
        for order in 0..ORDERS {
            world.order(&order.to_string(), &json!({})).await?;
        }
        let outage = Outage { world, engine, gate };
        outage.calls_arrive(ORDERS).await?;
        Ok(Some(outage))
    }

    fn engine(&self) -> Result<&Engine> {
        self.engine.as_ref().context("an engine runs")
    }

    async fn calls_arrive(&self, count: usize) -> Result<()> {
        eventually("calls arrive", WITHIN, || async {
            let calls: usize = self.world.ledgers().iter().map(|ledger| ledger.calls().len()).sum();
            Ok((calls >= count).then_some(()))
        })
        .await
    }

    /// Nothing was compensated and nothing parked.
    async fn cost_nothing(self) -> Result<()> {
        let all_complete = || async {
            let counts = count_by_status(&self.world).await?;
            let wrong = ["compensating", "compensated", "parked", "abandoned"];
            let undone: usize = wrong.iter().filter_map(|status| counts.get(*status)).sum();
            ensure!(counts.get("completed") == Some(&ORDERS) || undone > 0, "{counts:?}");
            Ok(Some(counts))
        };
        let ended = eventually("all sagas end", SETTLED, all_complete).await;
        let counts = ended.with_context(|| self.engine().map(Engine::log_tail).unwrap_or_default())?;
        assert_eq!(counts.get("completed"), Some(&ORDERS), "{counts:?}\n{}", self.engine()?.log_tail());
        judge(&self.world, OracleExemption::default()).await
    }
}

/// Until the time of all attempts is long over.
async fn lasts() -> Result<()> {
    let began = Instant::now();
    eventually("the outage is over", OUTAGE * 2, || async move { Ok((began.elapsed() >= OUTAGE).then_some(())) }).await
}

#[tokio::test]
async fn an_outage_of_all_engines_costs_nothing_but_time() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let Some(mut outage) = Outage::begins().await? else { return Ok(()) };
    outage.engine.take().context("it runs")?.kill().await?;
    outage.gate.open();
    lasts().await?;
    outage.engine = Some(outage.world.start().await?);
    outage.cost_nothing().await
}

#[tokio::test]
async fn an_engine_that_stands_still_gives_nobody_up() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let Some(outage) = Outage::begins().await? else { return Ok(()) };
    outage.engine()?.pause().await?;
    outage.gate.open();
    lasts().await?;
    outage.engine()?.unpause().await?;
    outage.cost_nothing().await
}

#[tokio::test]
async fn an_outage_of_the_broker_costs_nothing_but_time_and_is_shown() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let Some(outage) = Outage::begins().await? else { return Ok(()) };
    outage.world.kafka.perform(ServerAction::Kill).await?;
    outage.gate.open();
    let url = format!("{}/health/ready", outage.engine()?.api().base());
    eventually("the engine says that deadlines stand still", WITHIN, || async {
        let text = http_client()?.get(&url).send().await?.text().await?;
        let body: serde_json::Value = serde_json::from_str(&text)?;
        ensure!(body["deadlinesStandStill"]["reason"].is_string(), "{body}");
        Ok(Some(()))
    })
    .await?;
    lasts().await?;
    outage.world.kafka.perform(ServerAction::Start).await?;
    outage.cost_nothing().await
}

#[tokio::test]
async fn an_outage_of_the_database_costs_nothing_but_time() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let Some(outage) = Outage::begins().await? else { return Ok(()) };
    outage.world.postgres.perform(ServerAction::Kill).await?;
    outage.gate.open();
    lasts().await?;
    outage.world.postgres.perform(ServerAction::Start).await?;
    outage.cost_nothing().await
}

/// Silence is told from an outage: who does not answer is given up, in about its time.
#[tokio::test]
async fn whoever_is_silent_while_all_is_well_is_given_up() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let inventory = ParticipantScript::default().on("reserve:do", |_| ScriptedBehaviour::silence());
    let Some(world) = TestWorld::new(inventory, ParticipantScript::default()).await? else { return Ok(()) };
    world.participants(&json!({"timeout": "500ms"}), &json!({}))?;
    world.define("order", &ONCE.replace("12s", "10m"))?;
    let engine = world.start().await?;
    world.order("1", &json!({})).await?;
    reaches(&engine, "1", &["compensated"]).await?;
    Ok(())
}

/// Whatever the broker makes of an outcome event that is on its way when its saga is abandoned.
#[tokio::test]
async fn a_saga_that_is_abandoned_while_the_broker_is_held_up_is_published_or_abandoned_and_never_both() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let gate = ScriptGate::default();
    let held = ScriptedDelivery::Held(gate.clone());
    let payments = ParticipantScript::default()
        .on("charge:do", move |_| ScriptedBehaviour::succeed(json!({})).delivered(held.clone()));
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    let news = world.kafka.fresh_topic("news", 1).await?;
    world.participants(&json!({}), &json!({"timeout": "60s"}))?;
    let charge = "steps:\n  - {step: charge, do: POST payments/charges, undo: POST payments/refunds}\n";
    world.define("order", &format!("{charge}onCompleted: {{publish: {news}, type: Done}}\n"))?;
    let engine = world.start().await?;
    world.order("1", &json!({})).await?;
    let charged = || async { Ok((!world.payments.participant().ledger().calls().is_empty()).then_some(())) };
    eventually("the call arrives", WITHIN, charged).await?;
    world.kafka.perform(ServerAction::Pause).await?;
    gate.open();
    let on_its_way = || async {
        let found = find(&engine, "1").await?.context("it began")?;
        Ok(found["reason"].to_string().contains("outcome event is not delivered").then_some(found))
    };
    let saga = eventually("the outcome event is on its way", WITHIN, on_its_way).await?;
    let abandon = format!("/api/sagas/{}/abandon", saga["id"].as_str().context("an id")?);
    let (status, body) = engine.api().post(&abandon, &json!({"who": "ada", "reason": "settled by hand"})).await?;
    ensure!(status.is_success(), "{status} {body}");
    world.kafka.perform(ServerAction::Unpause).await?;
    let ended = reaches(&engine, "1", &["abandoned", "completed"]).await?;
    world.send(&news, &TopicRecord { key: Some(b"last".to_vec()), ..TopicRecord::default() }).await?;
    let is_last = |event: &ReceivedRecord| event.record.key.as_deref() == Some(&b"last"[..]);
    let events = world.kafka.read_until(&news, WITHIN, |events| events.iter().any(is_last)).await?;
    let published = events.iter().any(|event| event.header("ce_id").is_some());
    assert_eq!(published, ended["status"] == json!("completed"), "{ended}");
    Ok(())
}
