//! What a store has of a saga is damaged: that saga is parked and says why, all others go on, and it goes on when it is
//! repaired.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, binary, http_client},
    eventually::eventually,
    kafka::TopicRecord,
    participant::{ParticipantScript, ScriptGate, ScriptedBehaviour, ScriptedDelivery},
    traffic::SETTLED,
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use std::{collections::BTreeMap, path::Path, process::Output};
use tokio::process::Command;

const STEPS: &str = "
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
  - step: ship
    do: inventory.Ship
    undo: inventory.Unship
";

/// How each saga is damaged, by its key, with words that a reader says of it.
const FAULTS: [(&str, &str, &str); 8] = [
    ("unknown", "the kind `stepTeleported`", "Upgrade this program"),
    ("cut", "row 2 is cut off", "Restore the row"),
    ("hole", "row 2 is missing", "Restore its rows"),
    ("first", "row 1 is missing", "Restore its rows"),
    ("newer", "row 2 has format 9", "Upgrade this program"),
    ("unfolding", "row 2 names step 99", "Restore its rows"),
    ("lost", "the journal has no row of it", "Restore its rows"),
    ("document", "which the store does not have", "saga definitions restore"),
];

/// The database of a store, past the engine.
enum StoreDatabase {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl StoreDatabase {
    async fn run(&self, statement: &str) -> Result<()> {
        match self {
            StoreDatabase::Postgres(pool) => {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await?;
            }
            StoreDatabase::Sqlite(pool) => {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await?;
            }
        }
        Ok(())
    }

    fn blob(&self, text: &str) -> String {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        match self {
            StoreDatabase::Postgres(_) => format!("decode('{hex}', 'hex')"),
            StoreDatabase::Sqlite(_) => format!("x'{hex}'"),
        }
    }

    async fn damage(&self) -> Result<()> {
        for table in ["journal", "streams", "documents"] {
            self.run(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await?;
        }
        let of = |key: &str| format!("stream IN (SELECT stream FROM kept_streams WHERE key = '{key}')");
        let second = |key: &str, payload: &str| {
            let (payload, of) = (self.blob(payload), of(key));
            format!("UPDATE journal SET payload = {payload} WHERE version = 2 AND {of}")
        };
        self.run(&second("unknown", r#"{"v":1,"events":[{"stepTeleported":{"step":1}}]}"#)).await?;
        self.run(&second("newer", r#"{"v":9,"events":[{"stepTeleported":{"step":1}}]}"#)).await?;
        self.run(&second("unfolding", r#"{"v":1,"events":[{"stepSkipped":{"step":99,"direction":"do"}}]}"#)).await?;
        let cut = format!("UPDATE journal SET payload = substr(payload, 1, 40) WHERE version = 2 AND {}", of("cut"));
        self.run(&cut).await?;
        self.run(&format!("DELETE FROM journal WHERE version = 2 AND {}", of("hole"))).await?;
        self.run(&format!("DELETE FROM journal WHERE version = 1 AND {}", of("first"))).await?;
        self.run(&format!("DELETE FROM journal WHERE {}", of("lost"))).await?;
        self.run(&format!("DELETE FROM streams WHERE {}", of("unlisted"))).await?;
        let of_document = "hash IN (SELECT document FROM kept_streams WHERE key = 'document')";
        self.run(&format!("DELETE FROM documents WHERE {of_document}")).await
    }

    /// All but the document, which a command puts back.
    async fn repair(&self) -> Result<()> {
        self.run(
            "DELETE FROM journal WHERE stream IN (SELECT stream FROM kept_streams WHERE key IN \
                  ('unknown', 'newer', 'unfolding', 'cut', 'hole', 'first', 'lost'))",
        )
        .await?;
        self.run(
            "INSERT INTO journal SELECT * FROM kept_journal WHERE stream IN (SELECT stream FROM kept_streams \
                  WHERE key IN ('unknown', 'newer', 'unfolding', 'cut', 'hole', 'first', 'lost'))",
        )
        .await
    }
}

async fn saga(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).args(arguments).env_remove("SAGA_CONFIG");
    Ok(command.output().await?)
}

/// The lines that a command prints as JSON, whatever its exit code is.
async fn lines(folder: &Path, arguments: &[&str]) -> Result<Vec<Value>> {
    let output = saga(folder, &[arguments, &["--output", "json"]].concat()).await?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("{line}\n{told}"))).collect()
}

fn says(text: &Value, problem: &str, remedy: &str, id: &str) -> Result<()> {
    let text = text.as_str().unwrap_or_default();
    for part in [problem, remedy, id] {
        ensure!(text.contains(part), "`{part}` is missing in: {text}");
    }
    Ok(())
}

/// The lines of a list, by key.
async fn listed(folder: &Path) -> Result<BTreeMap<String, Value>> {
    let lines = lines(folder, &["list"]).await?;
    Ok(lines.into_iter().map(|line| (line["key"].as_str().unwrap_or_default().to_owned(), line)).collect())
}

/// What every reader says while no engine runs, when the read model has not heard of anything.
async fn readers_say_so(folder: &Path, ids: &BTreeMap<String, String>) -> Result<()> {
    let listed = listed(folder).await?;
    let verified = lines(folder, &["replay", "verify"]).await?;
    let report = &verified.last().context("a report")?["report"];
    ensure!(report["divergences"] == FAULTS.len() + 1, "{verified:#?}");
    for (key, problem, remedy) in FAULTS {
        let (line, id) = (&listed[key], &ids[key]);
        ensure!((&line["status"], &line["code"]) == (&json!("parked"), &json!("unreadable")), "{line}");
        says(&line["reason"], problem, remedy, id)?;
        let shown = &lines(folder, &["show", id]).await?[0];
        ensure!(shown["status"] == "parked", "{shown}");
        says(&shown["reason"], problem, remedy, id)?;
        let named = verified.iter().find(|line| line["divergence"]["id"] == json!(id)).context(key)?;
        let divergence = &named["divergence"];
        ensure!((&divergence["kind"], &divergence["key"]) == (&json!("journal"), &json!(key)), "{divergence}");
        says(&divergence["found"], problem, remedy, id)?;
        ensure!(saga(folder, &["history", id]).await?.status.success(), "the history of {key}");
    }
    let unlisted = verified.iter().find(|line| line["divergence"]["id"] == json!(ids["unlisted"]));
    let unlisted = &unlisted.context("the saga that the read model does not have")?["divergence"];
    ensure!((&unlisted["kind"], &unlisted["place"]) == (&json!("readModel"), &json!("row")), "{unlisted}");
    ensure!(lines(folder, &["show", &ids["unlisted"]]).await?[0]["key"] == "unlisted");
    // The index of acts needs no journal.
    let audited = saga(folder, &["audit"]).await?;
    ensure!(audited.status.success(), "{audited:?}");
    let tried = lines(folder, &["replay", "what-if", "--definition", "sagas/order.saga.yaml"]).await?;
    let report = &tried.last().context("a report")?["report"];
    ensure!(report["verdicts"]["unreadable"] == 6, "{report}");
    Ok(())
}

async fn marked(engine: &Engine) -> Result<()> {
    eventually("the read model shows them as parked", WITHIN, || async {
        let (_, list) = engine.api().get("/api/sagas?code=unreadable&limit=100").await?;
        let lines = list["sagas"].as_array().cloned().unwrap_or_default();
        ensure!(lines.len() == FAULTS.len(), "{list}");
        for line in lines {
            let (_, problem, remedy) = FAULTS.iter().find(|(key, ..)| line["key"] == *key).context("a damaged saga")?;
            ensure!(line["status"] == "parked", "{line}");
            says(&line["reason"], problem, remedy, line["id"].as_str().unwrap_or_default())?;
        }
        Ok(Some(()))
    })
    .await
    .with_context(|| engine.log_tail())
}

async fn orders(world: &TestWorld, engine: &Engine) -> Result<BTreeMap<String, String>> {
    let mut ids = BTreeMap::new();
    let keys =
        FAULTS.iter().map(|(key, ..)| *key).filter(|key| *key != "document").chain(["unlisted", "well-1", "well-2"]);
    for key in keys {
        world.order(key, &json!({})).await?;
    }
    let invoice = TopicRecord::event("InvoicePlaced", "document", &json!({"orderId": "document"}));
    world.send(&world.orders, &invoice).await?;
    let keys = FAULTS.iter().map(|(key, ..)| *key).chain(["unlisted", "well-1", "well-2"]);
    for key in keys {
        let shown = eventually("the saga waits for its last answer", WITHIN, || async {
            let shown = find(engine, key).await?.context("no such saga")?;
            Ok((shown["version"].as_u64() >= Some(3)).then_some(shown))
        });
        ids.insert(key.to_owned(), shown.await?["id"].as_str().context("an id")?.to_owned());
    }
    Ok(ids)
}

async fn damaged_sagas_are_parked_alone(world: TestWorld, database: StoreDatabase, gate: ScriptGate) -> Result<()> {
    let folder = world.installation.folder().to_owned();
    world.participants(&json!({"timeout": "5m"}), &json!({}))?;
    world.define("order", STEPS)?;
    let invoice = format!(
        "saga: invoice\ntrigger: {{topic: {}, type: InvoicePlaced, key: \"${{ event.orderId }}\"}}\n{STEPS}",
        world.orders
    );
    world.installation.definition("invoice", &invoice)?;
    let engine = world.start().await?;
    let ids = orders(&world, &engine).await?;
    ensure!(engine.terminate().await?.success());
    database.damage().await?;
    readers_say_so(&folder, &ids).await?;

    // The files say something else by now, so a start does not put the document back.
    world.installation.definition("invoice", &format!("{invoice}# changed\n"))?;
    let engine = world.start().await?;
    gate.open();
    for key in ["well-1", "well-2"] {
        reaches(&engine, key, &["completed"]).await?;
    }
    marked(&engine).await?;
    for (path, word) in [("/".to_owned(), "row 2 is cut off"), (format!("/sagas/{}", ids["cut"]), "Restore the row")] {
        let page = http_client()?.get(format!("{}{path}", engine.api().base())).send().await?.error_for_status()?;
        let page = page.text().await?;
        ensure!(page.contains(word), "{path}: {page}");
    }

    database.repair().await?;
    let then = folder.join("then");
    std::fs::create_dir(&then)?;
    std::fs::write(then.join("invoice.saga.yaml"), &invoice)?;
    std::fs::copy(folder.join("sagas/participants.yaml"), then.join("participants.yaml"))?;
    let restore = ["definitions", "restore", "then/invoice.saga.yaml", "--reason", "it was lost", "--server"];
    let restored = &lines(&folder, &[&restore[..], &[engine.api().base()]].concat()).await?[0];
    ensure!((&restored["status"], &restored["openSagas"]) == (&json!("stored"), &json!(1)), "{restored}");
    let (_, audit) = engine.api().get("/api/audit?on=invoice").await?;
    let entry = &audit["entries"][0];
    ensure!(entry["action"] == "restore definition" && entry["reason"] == "it was lost", "{audit}");
    ensure!(entry["on"]["definition"]["definition"] == restored["definition"], "{audit}");
    for (key, ..) in FAULTS {
        eventually("the saga goes on by itself", SETTLED, || async {
            let saga = find(&engine, &ids[key]).await?.context("no such saga")?;
            Ok((saga["status"] == "completed").then_some(()))
        })
        .await
        .with_context(|| format!("{key}\n{}", engine.log_tail()))?;
    }
    let listed = listed(&folder).await?;
    ensure!(listed.values().all(|line| line["status"] == "completed" && line["code"].is_null()), "{listed:?}");
    Ok(())
}

async fn world() -> Result<Option<(TestWorld, ScriptGate)>> {
    let gate = ScriptGate::default();
    let held = gate.clone();
    let inventory = ParticipantScript::default()
        .on("ship:do", move |_| ScriptedBehaviour::succeed(json!({})).delivered(ScriptedDelivery::Held(held.clone())));
    let world = TestWorld::new(inventory, ParticipantScript::default()).await?;
    Ok(world.map(|world| (world, gate)))
}

#[tokio::test]
async fn on_postgres_damaged_sagas_are_parked_alone_and_go_on_once_repaired() -> Result<()> {
    let Some((world, gate)) = world().await? else { return Ok(()) };
    let folder = world.installation.folder().to_owned();
    std::fs::write(folder.join("config.yaml"), json!({"store": world.database.url()}).to_string())?;
    let database = StoreDatabase::Postgres(world.database.pool().await?);
    damaged_sagas_are_parked_alone(world, database, gate).await
}

#[tokio::test]
async fn on_sqlite_damaged_sagas_are_parked_alone_and_go_on_once_repaired() -> Result<()> {
    let Some((mut world, gate)) = world().await? else { return Ok(()) };
    let folder = world.installation.folder().to_owned();
    let store = format!("sqlite:{}", folder.join("saga.db").display());
    std::fs::write(folder.join("config.yaml"), json!({"store": store}).to_string())?;
    world.installation = world.installation.set("store", json!(store));
    let database = StoreDatabase::Sqlite(SqlitePool::connect_lazy(&store)?);
    damaged_sagas_are_parked_alone(world, database, gate).await
}
