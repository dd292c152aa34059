//! Sagas that are started over the API, and followed while they go.

use anyhow::{Context, Result, ensure};
use reqwest::{Response, StatusCode};
use saga_tests::{
    engine::{Engine, binary, http_client},
    eventually::eventually,
    participant::{ParticipantScript, ScriptGate, ScriptedBehaviour, ScriptedDelivery},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, process::Output};
use tokio::process::Command;

const STEPS: &str = "
steps:
  - step: charge
    do: POST payments/charges
    with: {note: \"${ event.note }\"}
    undo: POST payments/refunds
";

/// `note` says what becomes of the charge; `held` waits for the gate.
fn script(gate: &ScriptGate) -> ParticipantScript {
    let gate = gate.clone();
    ParticipantScript::default().when(move |call, _| match (call.command.as_str(), call.body["note"].as_str()) {
        (command, Some("refused")) if command.ends_with(":do") => Some(ScriptedBehaviour::fail("card_refused")),
        (command, Some("doubt")) if command.ends_with(":do") => Some(ScriptedBehaviour::status(401)),
        (_, Some("held")) => {
            Some(ScriptedBehaviour::succeed(json!({})).delivered(ScriptedDelivery::Held(gate.clone())))
        }
        _ => None,
    })
}

async fn world(gate: &ScriptGate) -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), script(gate)).await? else { return Ok(None) };
    // A call that is held back is no attempt that has failed.
    world.participants(&json!({}), &json!({"timeout": "60s"}))?;
    world.define("order", STEPS)?;
    Ok(Some(world))
}

fn order(key: &str, note: &str) -> Value {
    json!({"definition": "order", "event": {"orderId": key, "note": note}, "who": "ada"})
}

async fn saga(engine: &Engine, arguments: &[&str]) -> Result<Output> {
    let server = ["--server", engine.api().base()];
    Ok(Command::new(binary()?).args([arguments, &server].concat()).env("USER", "ada").output().await?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn asks(engine: &Engine, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
    let request = http_client()?.get(format!("{}{path}", engine.api().base()));
    Ok(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_has_the_rules_of_a_record_and_happens_once() -> Result<()> {
    let Some(world) = world(&ScriptGate::default()).await? else { return Ok(()) };
    let engine = world.start().await?;
    let api = engine.api();
    let (status, first) = api.post("/api/sagas", &order("o-1", "fine")).await?;
    ensure!(status == StatusCode::CREATED && first["status"] == "started", "{status}: {first}");
    let id = first["saga"].as_str().context("a saga")?.to_owned();
    let (status, again) = api.post("/api/sagas", &order("o-1", "fine")).await?;
    ensure!(status == StatusCode::OK && again["saga"] == first["saga"], "{status}: {again}");
    let (status, other) = api.post("/api/sagas", &order("o-1", "other")).await?;
    ensure!(status == StatusCode::CONFLICT && other["code"] == "key_taken" && other["saga"] == id, "{status}: {other}");
    let ended = reaches(&engine, "o-1", &["completed"]).await?;
    ensure!(ended["trigger"]["startedBy"]["who"] == "ada", "{ended}");
    // The same event from Kafka is the same again.
    world.order("o-1", &json!({"note": "fine"})).await?;
    let counted = eventually("the record is known", WITHIN, || async {
        let (_, counts) = api.get("/monitoring/idempotency").await?;
        Ok((counts["recognised"]["start"] == 2).then_some(counts))
    });
    ensure!(counted.await?["started"] == 1);
    ensure!(world.effects(&id) == ["charge:do"]);
    let (_, audit) = api.get("/api/audit?on=o-1").await?;
    let entry = &audit["entries"][0];
    ensure!(entry["action"] == "start" && entry["who"] == "ada" && entry["on"]["saga"]["id"] == id, "{audit}");
    world.configure()?;
    let config = world.installation.folder().join("config.yaml").display().to_string();
    let shown = saga(&engine, &["show", "o-1", "--config", &config]).await?;
    ensure!(said(&shown).contains("started over the API by ada: started over the API (request "), "{}", said(&shown));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_a_dead_letter_is_refused_with_the_code_of_one() -> Result<()> {
    let Some(world) = world(&ScriptGate::default()).await? else { return Ok(()) };
    let (topic, text) = (&world.orders, "steps: [{step: charge, do: POST payments/charges, readOnly: true}]");
    let trigger =
        format!("trigger: {{topic: {topic}, type: OrderPaid, when: event.cents > 0, key: \"${{ record.key }}\"}}");
    world.installation.definition("paid", &format!("saga: paid\n{trigger}\n{text}\n"))?;
    let engine = world.start().await?;
    let without_key = json!({"definition": "order", "event": {"note": "fine"}, "who": "ada"});
    let (status, poison) = engine.api().post("/api/sagas", &without_key).await?;
    ensure!(status == StatusCode::UNPROCESSABLE_ENTITY && poison["code"] == "poison_event", "{status}: {poison}");
    ensure!(
        poison["poison"] == "key" && poison["detail"].as_str().is_some_and(|it| it.contains("orderId")),
        "{poison}"
    );
    let refused = async |body: Value, status: StatusCode, code: &str| {
        let (found, problem) = engine.api().post("/api/sagas", &body).await?;
        ensure!(found == status && problem["code"] == code, "{body}: {found}: {problem}");
        Ok::<Value, anyhow::Error>(problem)
    };
    let unwanted = json!({"definition": "paid", "event": {"cents": 0}, "key": "k", "who": "ada"});
    refused(unwanted, StatusCode::UNPROCESSABLE_ENTITY, "not_wanted").await?;
    let unknown = json!({"definition": "ordr", "key": "k", "who": "ada"});
    let problem = refused(unknown, StatusCode::NOT_FOUND, "no_definition").await?;
    ensure!(problem["detail"].as_str().is_some_and(|text| text.contains("did you mean `order`")), "{problem}");
    let mut other_key = order("o-1", "fine");
    other_key["key"] = json!("o-2");
    refused(other_key, StatusCode::BAD_REQUEST, "bad_body").await?;
    let mut forged = order("o-1", "fine");
    forged["headers"] = json!({"saga_start_who": "eve"});
    refused(forged, StatusCode::BAD_REQUEST, "bad_body").await?;
    let wanted = json!({"definition": "paid", "event": {"cents": 5}, "key": "k", "who": "ada"});
    let (status, begun) = engine.api().post("/api/sagas", &wanted).await?;
    ensure!(status == StatusCode::CREATED && begun["key"] == "k", "{status}: {begun}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_reaches_the_shards_of_another_engine_and_survives_the_death_of_one() -> Result<()> {
    let Some(world) = world(&ScriptGate::default()).await? else { return Ok(()) };
    let (first, second) = (world.start().await?, world.start().await?);
    let shared = eventually("both engines have shards", WITHIN, || async {
        let mut all = Vec::new();
        for engine in [&first, &second] {
            let (status, ready) = engine.api().get("/health/ready").await?;
            all.push(if status == StatusCode::OK { ready["shards"].as_u64().unwrap_or_default() } else { 0 });
        }
        Ok((all.iter().all(|shards| *shards > 0) && all.iter().sum::<u64>() == 8).then_some(()))
    });
    shared.await?;
    let keys: Vec<String> = (0..16).map(|number| format!("o-{number}")).collect();
    let mut sagas = BTreeSet::new();
    for key in &keys {
        let (status, begun) = first.api().post("/api/sagas", &order(key, "fine")).await?;
        ensure!(status == StatusCode::CREATED, "{key}: {status}: {begun}");
        sagas.insert(begun["saga"].as_str().context("a saga")?.to_owned());
    }
    ensure!(sagas.len() == keys.len());
    // An engine dies while starts are on their way to it.
    let dying: Vec<String> = (0..16).map(|number| format!("d-{number}")).collect();
    let starts = dying.iter().map(|key| {
        let (api, body) = (first.api().clone(), order(key, "fine"));
        tokio::spawn(async move { api.post("/api/sagas", &body).await })
    });
    let starts: Vec<_> = starts.collect();
    first.kill().await?;
    for start in starts {
        // Nobody knows yet what became of it.
        drop(start.await?);
    }
    for key in &dying {
        let begun = eventually("the repeat knows the saga", WITHIN, || async {
            let (status, begun) = second.api().post("/api/sagas", &order(key, "fine")).await?;
            Ok((status == StatusCode::CREATED || status == StatusCode::OK).then_some(begun))
        });
        let begun = begun.await?;
        let id = begun["saga"].as_str().context("a saga")?.to_owned();
        reaches(&second, key, &["completed"]).await?;
        ensure!(world.effects(&id) == ["charge:do"], "{key}: {:?}", world.effects(&id));
        sagas.insert(id);
    }
    let (_, list) = second.api().get("/api/sagas?limit=1000").await?;
    ensure!(list["sagas"].as_array().map(Vec::len) == Some(sagas.len()) && sagas.len() == 32, "{list}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_by_its_exit_code_where_the_saga_has_got_to() -> Result<()> {
    let gate = ScriptGate::default();
    let Some(world) = world(&gate).await? else { return Ok(()) };
    let engine = world.start().await?;
    for (note, seconds, code, line) in [
        ("fine", "60", 0, "charge succeeded"),
        ("refused", "60", 3, "card_refused"),
        ("doubt", "60", 4, "parked"),
        ("held", "1", 6, "started"),
    ] {
        let file = world.installation.folder().join(format!("{note}.json"));
        std::fs::write(&file, json!({"orderId": note, "note": note}).to_string())?;
        let event = file.display().to_string();
        let ended = saga(&engine, &["start", "order", "--event", &event, "--wait", seconds]).await?;
        ensure!(ended.status.code() == Some(code) && said(&ended).contains(line), "{note}: {}", said(&ended));
    }
    let watching = tokio::spawn({
        let base = engine.api().base().to_owned();
        async move {
            Command::new(binary()?)
                .args(["watch", "held", "--server", &base])
                .output()
                .await
                .map_err(anyhow::Error::from)
        }
    });
    gate.open();
    let watched = watching.await??;
    let text = said(&watched);
    ensure!(
        watched.status.code() == Some(0) && text.contains("charge succeeded") && text.contains("completed"),
        "{text}"
    );
    let unknown = saga(&engine, &["watch", "nobody"]).await?;
    ensure!(
        unknown.status.code() == Some(1) && said(&unknown).contains("no saga has the id or key"),
        "{}",
        said(&unknown)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_saga_get_each_event_once_and_wait_for_the_next() -> Result<()> {
    let gate = ScriptGate::default();
    let Some(world) = world(&gate).await? else { return Ok(()) };
    let (engine, other) = (world.start().await?, world.start().await?);
    let (status, begun) = engine.api().post("/api/sagas", &order("held", "held")).await?;
    ensure!(status == StatusCode::CREATED, "{status}: {begun}");
    let (_, page) = engine.api().get("/api/sagas/held/events").await?;
    ensure!(page["ended"] == false && page["events"][0]["event"] == "1.0", "{page}");
    let after = page["next"].as_str().context("a place")?.to_owned();
    let (_, none) = engine.api().get(&format!("/api/sagas/held/events?after={after}&waitMs=300")).await?;
    ensure!(none["events"] == json!([]) && none["next"] == after, "{none}");
    // One of the two engines does not own the saga.
    let waiting = [&engine, &other].map(|engine| {
        let (api, path) = (engine.api().clone(), format!("/api/sagas/held/events?after={after}&waitMs=15000"));
        tokio::spawn(async move { api.get(&path).await })
    });
    let mut stream = asks(&other, "/api/sagas/held/events", &[("accept", "text/event-stream")]).await?;
    gate.open();
    for reader in waiting {
        let (status, page) = reader.await??;
        ensure!(status == StatusCode::OK && page["events"][0]["event"] == "2.0", "{status}: {page}");
    }
    let mut text = String::new();
    while let Some(part) = stream.chunk().await? {
        text.push_str(&String::from_utf8_lossy(&part));
    }
    ensure!(text.contains("event: ended") && text.matches("id: 1.0\n").count() == 1, "{text}");
    let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    let last = *ids.last().context("an event")?;
    let from = async |last: &str| {
        asks(&other, "/api/sagas/held/events", &[("accept", "text/event-stream"), ("last-event-id", last)]).await
    };
    let rest = from(&after).await?.text().await?;
    ensure!(!rest.contains("id: 1.0\n") && rest.contains(&format!("id: {last}\n")), "{rest}");
    ensure!(from(last).await?.status() == StatusCode::NO_CONTENT);
    for (wrong, code) in [("after=x", "bad_parameter"), ("waitMs=25001", "bad_parameter")] {
        let (status, problem) = engine.api().get(&format!("/api/sagas/held/events?{wrong}")).await?;
        ensure!(status == StatusCode::BAD_REQUEST && problem["code"] == code, "{wrong}: {status}: {problem}");
    }
    Ok(())
}
