//! Operators move parked sagas on: what a skip leaves open, what one of two branches waits for, and whose time stands
//! still.

use super::definitions::ORDER;
use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::Engine,
    eventually::eventually,
    oracle::{OracleExemption, judge},
    participant::{ParticipantScript, ScriptGate, ScriptedBehaviour, ScriptedDelivery},
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// A token that its participant refuses until it is renewed.
#[derive(Clone, Default)]
struct Token(Arc<AtomicBool>);

impl Token {
    fn renew(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn behaviour(&self) -> impl Fn(u32) -> ScriptedBehaviour + Send + Sync + 'static {
        let renewed = self.0.clone();
        move |_| {
            if renewed.load(Ordering::SeqCst) {
                ScriptedBehaviour::succeed(json!({}))
            } else {
                ScriptedBehaviour::status(401)
            }
        }
    }
}

async fn act(engine: &Engine, id: &str, action: &str) -> Result<()> {
    applied(engine, id, action, &json!({})).await.map(|_| ())
}

/// Acts as `more` says, and returns what the engine answers.
async fn asks(engine: &Engine, id: &str, action: &str, more: &Value) -> Result<(u16, Value)> {
    let mut act = json!({"who": "ada", "reason": "the participant was asked"});
    for (name, value) in more.as_object().into_iter().flatten() {
        act[name] = value.clone();
    }
    let (status, body) = engine.api().post(&format!("/api/sagas/{id}/{action}"), &act).await?;
    Ok((status.as_u16(), body))
}

async fn applied(engine: &Engine, id: &str, action: &str, more: &Value) -> Result<Value> {
    let (status, body) = asks(engine, id, action, more).await?;
    ensure!((status, &body["status"]) == (200, &json!("applied")), "{action}: {status}: {body}");
    Ok(body)
}

async fn refused(engine: &Engine, id: &str, action: &str, more: &Value) -> Result<String> {
    let (status, body) = asks(engine, id, action, more).await?;
    ensure!((status, &body["code"]) == (409, &json!("refused")), "{action}: {status}: {body}");
    Ok(body["detail"].as_str().unwrap_or_default().to_owned())
}

/// Waits until the saga with this key is as `holds` wants it, and returns it.
async fn shows(engine: &Engine, key: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
    eventually(what, WITHIN, || async {
        let saga = find(engine, key).await?.context("no such saga")?;
        ensure!(holds(&saga), "it is {saga}");
        Ok(Some(saga))
    })
    .await
}

fn step<'a>(saga: &'a Value, name: &str) -> &'a Value {
    let steps = saga["steps"].as_array().map_or(&[][..], Vec::as_slice);
    steps.iter().find(|step| step["step"] == name).unwrap_or(&Value::Null)
}

/// Undos that participants were asked for, whether or not they found anything to undo.
fn undos(world: &TestWorld) -> Vec<String> {
    let calls = world.ledgers().into_iter().flat_map(|ledger| ledger.calls().to_vec());
    calls.map(|call| call.command).filter(|command| command.ends_with(":undo")).collect()
}

#[tokio::test]
async fn a_skipped_step_that_may_have_happened_is_undone_by_a_later_cancel() -> Result<()> {
    let gate = ScriptGate::default();
    let held = gate.clone();
    let inventory = ParticipantScript::default()
        .on("ship:do", move |_| ScriptedBehaviour::succeed(json!({})).delivered(ScriptedDelivery::Held(held.clone())));
    let payments = ParticipantScript::default().on("charge:do", |_| ScriptedBehaviour::status(503).with_effect());
    let Some(world) = TestWorld::new(inventory, payments).await? else { return Ok(()) };
    // The answer to `ship` is awaited for as long as the test holds it back.
    world.participants(&json!({"timeout": "50s"}), &json!({}))?;
    world.define("order", &format!("onExhausted: park\n{ORDER}"))?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let parked = reaches(&engine, "4711", &["parked"]).await?;
    let id = parked["id"].as_str().context("a saga has an id")?;
    assert_eq!((&parked["step"], &step(&parked, "charge")["phase"]), (&json!("charge"), &json!("unknown")), "{parked}");

    act(&engine, id, "skip").await?;
    let skipped = shows(&engine, "4711", "ship is out", |saga| step(saga, "ship")["phase"] == "running").await?;
    let charge = step(&skipped, "charge");
    assert_eq!((&charge["phase"], &charge["skippedInDoubt"]), (&json!("skipped"), &json!(true)), "{skipped}");
    assert_eq!(undos(&world), Vec::<String>::new(), "a skip undoes nothing");

    act(&engine, id, "cancel").await?;
    gate.open();
    reaches(&engine, "4711", &["compensated"]).await?;
    let inventory = ["reserve:do", "ship:do", "ship:undo", "reserve:undo"];
    assert_eq!(world.effects(id), [&inventory[..], &["charge:do", "charge:undo"]].concat());
    let payments = world.payments.participant().ledger();
    let refund = payments.calls().last().context("a refund came")?;
    assert_eq!(refund.body["result"], json!(null), "nobody knows what the charge answered");
    judge(&world, OracleExemption::default()).await
}

const PARALLEL: &str = r"
retry: {attempts: 1}
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - parallel:
      - step: charge
        do: POST payments/charges
        undo: POST payments/refunds
      - step: insure
        do: POST payments/policies
        undo: POST payments/policies/cancel
";

#[tokio::test]
async fn a_skip_of_one_refused_branch_leaves_the_saga_parked_for_the_other() -> Result<()> {
    let token = Token::default();
    let payments = ParticipantScript::default().on("charge:do", token.behaviour()).on("insure:do", token.behaviour());
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    world.define("order", PARALLEL)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let both_failed = |saga: &Value| ["charge", "insure"].iter().all(|name| step(saga, name)["phase"] == "failed");
    let parked = shows(&engine, "4711", "both branches are refused", both_failed).await?;
    let id = parked["id"].as_str().context("a saga has an id")?;
    assert_eq!(parked["status"], "parked", "{parked}");
    let needs: Vec<&Value> = parked["needsPerson"].as_array().into_iter().flatten().map(|need| &need["step"]).collect();
    assert_eq!(needs, ["charge", "insure"], "{parked}");
    let (first, other) = ("charge", "insure");

    let which = refused(&engine, id, "skip", &json!({})).await?;
    assert!(which.contains("charge (http.401") && which.contains("insure (http.401"), "{which}");
    let wrong = refused(&engine, id, "skip", &json!({"step": "reserve"})).await?;
    assert!(wrong.contains("does not wait for"), "{wrong}");
    let skip = json!({"id": "act-7", "step": first});
    let told = applied(&engine, id, "skip", &skip).await?;
    assert_eq!((&told["step"], told.get("appliedAt")), (&json!(first), None), "{told}");
    // A repeat settles nothing more, not even under a new engine.
    let repeated = applied(&engine, id, "skip", &skip).await?;
    assert!(repeated["appliedAt"].is_string() && repeated["step"] == first, "{repeated}");
    engine.kill().await?;
    let engine = world.start().await?;
    let repeated = applied(&engine, id, "skip", &skip).await?;
    assert!(repeated["appliedAt"].is_string() && repeated["step"] == first, "{repeated}");
    // Right after a start the act may still be on its way when the engine answers.
    let again = eventually("the owner refuses it", WITHIN, || async {
        refused(&engine, id, "skip", &json!({"step": first})).await.map(Some)
    })
    .await?;
    assert!(again.contains("insure (http.401"), "{again}");
    let for_other = |saga: &Value| saga["status"] == "parked" && saga["step"] == other;
    let parked = shows(&engine, "4711", "the saga is parked for the other branch", for_other).await?;
    let skipped = step(&parked, first);
    assert_eq!((&skipped["phase"], skipped.get("skippedInDoubt")), (&json!("skipped"), None), "{parked}");
    assert!(parked["reason"].as_str().is_some_and(|reason| reason.contains("http.401")), "{parked}");
    assert_eq!(world.effects(id), ["reserve:do"]);

    token.renew();
    act(&engine, id, "retry").await?;
    reaches(&engine, "4711", &["completed"]).await?;
    assert_eq!(world.effects(id), ["reserve:do".to_owned(), format!("{other}:do")]);
    assert_eq!(undos(&world), Vec::<String>::new());
    judge(&world, OracleExemption::default()).await
}

const TIMED: &str = r#"
timeout: 2s
retry: {attempts: 1}
steps:
  - step: reserve
    do: POST payments/reservations
    with: {orderId: "${ event.orderId }"}
    retry: {attempts: 2, delay: 1m, maxDelay: 1m, jitter: none}
    undo: POST payments/releases
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
"#;

#[tokio::test]
async fn a_saga_parked_for_longer_than_its_time_is_retried_and_completes() -> Result<()> {
    let token = Token::default();
    // The order `witness` starts when the other one is parked, is refused once, and waits for its next attempt until
    // its time ends.
    let is_witness = |call: &saga_tests::participant::RecordedCall| call.body["orderId"] == "witness";
    let payments = ParticipantScript::default()
        .when(move |call, _| is_witness(call).then(|| ScriptedBehaviour::fail_retryably("busy")))
        .on("charge:do", token.behaviour());
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    world.define("order", TIMED)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let parked = reaches(&engine, "4711", &["parked"]).await?;
    let id = parked["id"].as_str().context("a saga has an id")?;
    assert_eq!((&parked["step"], parked.get("deadline")), (&json!("charge"), None), "{parked}");

    world.order("witness", &json!({})).await?;
    let witness = reaches(&engine, "witness", &["compensated"]).await?;
    assert!(witness["reason"].as_str().is_some_and(|reason| reason.contains("time")), "{witness}");
    let still = find(&engine, "4711").await?.context("it is there")?;
    assert_eq!(still["status"], "parked", "{still}");

    token.renew();
    act(&engine, id, "retry").await?;
    reaches(&engine, "4711", &["completed"]).await?;
    assert_eq!(world.effects(id), ["reserve:do", "charge:do"]);
    assert_eq!(undos(&world), Vec::<String>::new());
    judge(&world, OracleExemption::default()).await
}
