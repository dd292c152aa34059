//! Sagas that have left the event store for archive files: found there, and erased there.

use anyhow::{Context, Result, ensure};
use saga_core::time::{Timestamp, rfc3339};
use saga_tests::{
    engine::{Engine, binary, http_client},
    eventually::eventually,
    kafka::TopicRecord,
    participant::{ParticipantScript, RecordedCall, ScriptedAnswer, ScriptedBehaviour},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::process::Command;

/// In the trigger, in requests, in a result, and in the message of a failure.
const CANARY: &str = "Canary0123456789";
/// 32 bytes in base64.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const STEPS: &str = "
retention: 1h
steps:
  - step: reserve
    do: inventory.ReserveStock
    with: {customer: \"${ event.customer }\"}
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    with: {customer: \"${ event.customer }\"}
    undo: POST payments/refunds
";

/// The database, and whether it is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreForm {
    Postgres,
    SealedPostgres,
    Sqlite,
    SealedSqlite,
}

impl StoreForm {
    fn is_sealed(self) -> bool {
        matches!(self, StoreForm::SealedPostgres | StoreForm::SealedSqlite)
    }

    fn is_sqlite(self) -> bool {
        matches!(self, StoreForm::Sqlite | StoreForm::SealedSqlite)
    }
}

/// An installation whose sagas carry the canary, with a folder of archives.
struct ArchivedWorld {
    world: TestWorld,
    form: StoreForm,
    archive: PathBuf,
}

async fn archived_world(form: StoreForm) -> Result<Option<ArchivedWorld>> {
    let is_of_the_canary = |call: &RecordedCall| call.body["customer"] == CANARY;
    let inventory = ParticipantScript::default()
        .when(move |call, _| is_of_the_canary(call).then(|| ScriptedBehaviour::succeed(json!({"said": CANARY}))));
    let payments = ParticipantScript::default()
        .when(move |call, _| {
            let message = format!("no, {CANARY}");
            let answer = ScriptedAnswer::Failed { code: "card_refused".into(), message, retryable: false };
            let refused = || ScriptedBehaviour { answer: answer.clone(), ..ScriptedBehaviour::fail("card_refused") };
            is_of_the_canary(call).then(refused)
        })
        .on("charge:do", |_| ScriptedBehaviour::fail("card_refused"));
    let Some(mut world) = TestWorld::new(inventory, payments).await? else { return Ok(None) };
    let folder = world.installation.folder().to_owned();
    let address = match form.is_sqlite() {
        true => format!("sqlite:{}", folder.join("saga.db").display()),
        false => world.database.url().to_owned(),
    };
    let store = match form.is_sealed() {
        true => json!({"address": address, "encryption": {"key": "env:STORE_KEY"}}),
        false => json!(address),
    };
    let archive = folder.join("archive");
    world.installation = world
        .installation
        .set("store", store)
        .set("archive", json!({"folder": archive, "partition": "1d"}))
        .with_env("STORE_KEY", KEY);
    world.define("order", STEPS)?;
    Ok(Some(ArchivedWorld { world, form, archive }))
}

impl ArchivedWorld {
    /// The newest configuration that an engine was started with.
    fn config(&self) -> Result<PathBuf> {
        let files = fs::read_dir(self.world.installation.folder())?.filter_map(|entry| Some(entry.ok()?.path()));
        let is_config = |path: &PathBuf| path.file_name().is_some_and(|it| it.to_string_lossy().starts_with("config-"));
        let newest = files.filter(is_config).max_by_key(|path| path.metadata().and_then(|it| it.modified()).ok());
        newest.context("no engine was started")
    }

    async fn saga(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary()?);
        command.args(arguments).env("SAGA_CONFIG", self.config()?).env("STORE_KEY", KEY);
        Ok(command.current_dir(self.world.installation.folder()).output().await?)
    }

    async fn told(&self, arguments: &[&str]) -> Result<String> {
        let output = self.saga(arguments).await?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{arguments:?}: {out}{err}");
        Ok(out.into_owned())
    }

    async fn lines(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let text = self.told(&[arguments, &["--output", "json"]].concat()).await?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// All sagas leave, as if the day after tomorrow had come; the engine knows of it when this returns.
    async fn all_leave(&self, engine: Engine) -> Result<Engine> {
        engine.terminate().await?;
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        // Later than the ends of all partitions.
        let then = rfc3339(Timestamp(now + 400 * 24 * 3_600_000));
        let left = self.lines(&["archive", "run", "--as-of", &then]).await?;
        ensure!(left.iter().any(|it| it["sagas"] != json!(0)), "{left:?}");
        self.keeps_a_partition().await?;
        self.world.start().await
    }

    /// Of the partitions one stays, behind which the next ones are made.
    async fn keeps_a_partition(&self) -> Result<()> {
        if self.form.is_sqlite() {
            return Ok(());
        }
        let mut store = PgConnection::connect(self.world.database.url()).await?;
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM partitions").fetch_one(&mut store).await?;
        ensure!(kept > 0, "no partition is left");
        Ok(())
    }

    /// Archive files that have the text, unpacked.
    fn files_with(&self, text: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for path in self.files()? {
            let lines = zstd::stream::decode_all(fs::File::open(&path)?)?;
            if contains(&lines, text) {
                found.push(path);
            }
        }
        Ok(found)
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        fs::read_dir(&self.archive)?.map(|entry| Ok(entry?.path())).collect()
    }

    /// Places of the store that have the canary.
    async fn store_with_the_canary(&self) -> Result<Vec<String>> {
        if self.form.is_sqlite() {
            let files = ["saga.db", "saga.db-wal"].map(|name| self.world.installation.folder().join(name));
            let has = |path: &&PathBuf| fs::read(path).is_ok_and(|bytes| contains(&bytes, CANARY));
            return Ok(files.iter().filter(has).map(|path| path.display().to_string()).collect());
        }
        let mut store = PgConnection::connect(self.world.database.url()).await?;
        let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                      WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut store).await?;
        ensure!(tables.len() > 3, "{tables:?}");
        let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut found = Vec::new();
        for table in tables {
            let rows = sqlx::AssertSqlSafe(format!("SELECT row_to_json(t)::text FROM {table} t"));
            let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut store).await?;
            found.extend(rows.iter().any(|row| row.contains(CANARY) || row.contains(&hex)).then_some(table));
        }
        Ok(found)
    }

    fn with_keys(&self) -> &'static [&'static str] {
        if self.form.is_sealed() { &["--with-keys"] } else { &[] }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path is text")
}

/// Where the saga is and is not, after it has left.
async fn it_is_found_in_its_archive(archived: &ArchivedWorld, id: &str) -> Result<()> {
    let listed = archived.lines(&["list", "--saga", "order"]).await?;
    ensure!(listed.iter().all(|line| line["id"] != id), "{listed:?}");
    let left = archived.lines(&["list", "--archived", "--saga", "order", "--key", "4711"]).await?;
    ensure!(left.len() == 1 && left[0]["id"] == id, "{left:?}");
    for named in [id, "4711"] {
        ensure!(archived.told(&["show", named, "--full"]).await?.contains(CANARY));
    }
    let history = archived.lines(&["history", id, "--full"]).await?;
    ensure!(history.len() > 4, "{history:?}");
    let folder = text(&archived.archive)?;
    let verified = [&["replay", "verify", "--archive", folder], archived.with_keys()].concat();
    let report = archived.lines(&verified).await?.pop().context("a report")?;
    assert_eq!((&report["report"]["divergences"], &report["report"]["sagas"]), (&json!(0), &json!(2)), "{report}");
    let definition = archived.world.installation.sagas().join("order.saga.yaml");
    let tried = ["replay", "what-if", "--definition", text(&definition)?, "--archive", folder];
    let report = archived.lines(&[&tried, archived.with_keys()].concat()).await?.pop().context("a report")?;
    assert_eq!(report["report"]["verdicts"]["same"], json!(2), "{report}");
    let advised = [&["advise", "--archive", folder], archived.with_keys()].concat();
    let report = archived.lines(&advised).await?.pop().context("a report")?;
    assert_eq!((&report["read"]["sagas"], &report["read"]["skipped"]), (&json!(2), &json!(0)), "{report}");
    Ok(())
}

/// What needs the store says where the saga is; a slip in a name is no empty answer.
async fn it_is_told_as_archived(archived: &ArchivedWorld, engine: &Engine, id: &str) -> Result<()> {
    for path in [format!("/api/sagas/{id}"), "/api/sagas/4711".to_owned(), format!("/api/sagas/{id}/history")] {
        let (status, body) = engine.api().get(&path).await?;
        assert_eq!((status.as_u16(), &body["code"]), (410, &json!("saga_archived")), "{path}: {body}");
    }
    for act in ["retry", "cancel", "skip", "rerun"] {
        let given = [act, "4711", "--who", "anna", "--reason", "why", "--server", engine.api().base()];
        let output = archived.saga(&given).await?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        for part in [id, "left the event store at 20", ".saga.zst", "`saga erase`"] {
            ensure!(!output.status.success() && told.contains(part), "{act}: {part} is missing in: {told}");
        }
    }
    let folder = text(&archived.archive)?;
    for misspelt in [
        &["list", "--archived", "--saga", "ordr"][..],
        &["list", "--saga", "ordr"],
        &["events", "--saga", "ordr"],
        &["show", "4711", "--saga", "ordr"],
        &["replay", "verify", "--archive", folder, "--saga", "ordr"],
        &["replay", "verify", "--saga", "ordr"],
    ] {
        let output = archived.saga(misspelt).await?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && told.contains("did you mean `order`?"), "{misspelt:?}: {output:?}");
    }
    Ok(())
}

/// The findings of `saga dlq reconcile`.
async fn reconciled(archived: &ArchivedWorld) -> Result<Vec<String>> {
    let output = archived.saga(&["dlq", "reconcile", "--output", "json"]).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = said.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let summary = lines.pop().with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    ensure!(summary["compared"] == 1, "{summary}");
    Ok(lines.iter().filter_map(|line| line["finding"].as_str()).map(str::to_owned).collect())
}

/// A letter whose redrive started the archived saga agrees. Another saga of that time is missing, unless sagas were
/// dropped then.
async fn a_redrive_that_started_it_is_reconciled(archived: &ArchivedWorld, engine: &Engine, id: &str) -> Result<()> {
    let world = &archived.world;
    let headers = vec![("ce_type".into(), Some(b"OrderPlaced".to_vec()))];
    let poison = TopicRecord { partition: Some(0), key: None, value: Some(b"{".to_vec()), headers };
    world.send(&world.orders, &poison).await?;
    eventually("the letter is in the table", WITHIN, || async {
        let (_, body) = engine.api().get("/api/dead-letters").await?;
        Ok(body["letters"].as_array().is_some_and(|letters| letters.len() == 1).then_some(()))
    })
    .await?;
    let pool = world.database.pool().await?;
    let redriven = "UPDATE dead_letters SET status = 'redriven', who = 'a', changed_at = 1, result = 'started ' || $1";
    sqlx::query(redriven).bind(id).execute(&pool).await?;
    ensure!(reconciled(archived).await?.is_empty(), "the archive has it");
    let aside = archived.archive.with_extension("aside");
    fs::rename(&archived.archive, &aside)?;
    let undecided = reconciled(archived).await?;
    fs::rename(&aside, &archived.archive)?;
    ensure!(undecided == ["sagaUndecided"], "{undecided:?}");

    let last = if id.ends_with('0') { '1' } else { '0' };
    sqlx::query(redriven).bind(format!("{}{last}", &id[..id.len() - 1])).execute(&pool).await?;
    let missing = reconciled(archived).await?;
    ensure!(missing == ["sagaMissing"], "{missing:?}");
    sqlx::query("UPDATE archives SET dropped = dropped + 1").execute(&pool).await?;
    let dropped = reconciled(archived).await?;
    sqlx::query("UPDATE archives SET dropped = dropped - 1").execute(&pool).await?;
    ensure!(dropped.is_empty(), "it may be one of those that were dropped beside the archive: {dropped:?}");
    Ok(())
}

async fn a_late_reply_is_counted(archived: &ArchivedWorld, engine: &Engine, id: &str) -> Result<()> {
    let headers = [
        ("ce_correlationid", id.to_owned()),
        ("idempotency_key", format!("{id}:reserve:do")),
        ("saga_attempt", "1".to_owned()),
        ("saga_outcome", "succeeded".to_owned()),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), Some(value.into_bytes()))).to_vec();
    let late = TopicRecord { partition: None, key: None, value: Some(b"{}".to_vec()), headers };
    archived.world.send(archived.world.installation.replies(), &late).await?;
    eventually("the late reply is counted", WITHIN, || async {
        let metrics = http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?;
        Ok(metrics.contains("saga_archived_replies_total 1").then_some(()))
    })
    .await
}

/// The erasure, and that it is done once.
async fn it_is_erased(archived: &ArchivedWorld, engine: &Engine, name: &str) -> Result<()> {
    let erase = async |more: &[&str]| {
        let server = engine.api().base();
        let given = ["erase", name, "--who", "anna", "--reason", "the customer asked for it", "--server", server];
        archived.saga(&[&given[..], more].concat()).await
    };
    let said = |output: &Output| {
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let dry = erase(&["--dry-run"]).await?;
    ensure!(dry.status.success() && said(&dry).contains("Nothing was done"), "{dry:?}");
    ensure!(archived.told(&["show", name, "--full"]).await?.contains(CANARY), "a dry run has changed something");
    let first = erase(&["--id", "request-17"]).await?;
    ensure!(first.status.success() && said(&first).contains("nothing of its content any more"), "{}", said(&first));
    let repeated = erase(&["--id", "request-17"]).await?;
    ensure!(repeated.status.success() && said(&repeated).contains("applied before"), "{}", said(&repeated));
    let again = erase(&["--id", "request-18"]).await?;
    ensure!(again.status.success() && said(&again).contains("done already by another act"), "{}", said(&again));
    Ok(())
}

async fn it_is_nowhere(archived: &ArchivedWorld, engine: &Engine, id: &str) -> Result<()> {
    ensure!(archived.files_with(CANARY)?.is_empty());
    ensure!(archived.files_with("the customer asked for it")?.len() == 1);
    assert_eq!(archived.store_with_the_canary().await?, Vec::<String>::new());
    let mut told = String::new();
    for path in [format!("/sagas/{id}"), "/".to_owned(), "/api/events?limit=500".to_owned(), "/api/audit".to_owned()] {
        told += &http_client()?.get(format!("{}{path}", engine.api().base())).send().await?.text().await?;
    }
    for arguments in [&["show", id, "--full"][..], &["history", id, "--full"], &["list", "--archived"]] {
        told += &archived.told(arguments).await?;
    }
    ensure!(!told.contains(CANARY) && !engine.log()?.contains(CANARY), "{told}");
    ensure!(told.contains("by anna: the customer asked for it"), "{told}");
    let shown = archived.lines(&["show", id]).await?;
    assert_eq!((&shown[0]["erased"]["who"], &shown[0]["status"]), (&json!("anna"), &json!("compensated")));
    let before = archived.lines(&["show", id, "--at", "1"]).await?;
    assert_eq!(before[0]["erased"]["who"], json!("anna"), "{before:?}");
    let audited = archived.lines(&["audit", "--on", id]).await?;
    assert_eq!((audited.len(), &audited[0]["action"], &audited[0]["id"]), (1, &json!("erase"), &json!("request-17")));
    let verified = ["replay", "verify", "--archive", text(&archived.archive)?];
    let report = archived.lines(&[&verified, archived.with_keys()].concat()).await?.pop().context("a report")?;
    assert_eq!((&report["report"]["divergences"], &report["report"]["erased"]), (&json!(0), &json!(1)), "{report}");
    Ok(())
}

async fn a_saga_leaves_and_is_erased_in_its_archive(form: StoreForm) -> Result<()> {
    let Some(archived) = archived_world(form).await? else { return Ok(()) };
    let world = &archived.world;
    let engine = world.start().await?;
    let order = json!({"customer": CANARY});
    world.order("4711", &order).await?;
    let id = reaches(&engine, "4711", &["compensated"]).await?["id"].as_str().context("an id")?.to_owned();
    world.order("4712", &json!({"customer": "none"})).await?;
    reaches(&engine, "4712", &["compensated"]).await?;
    let engine = archived.all_leave(engine).await?;

    it_is_found_in_its_archive(&archived, &id).await?;
    it_is_told_as_archived(&archived, &engine, &id).await?;
    a_late_reply_is_counted(&archived, &engine, &id).await?;
    if form == StoreForm::Postgres {
        a_redrive_that_started_it_is_reconciled(&archived, &engine, &id).await?;
    }
    // The key stays taken: the next order is later in the topic, and of the first one nothing began.
    world.order("4711", &order).await?;
    world.order("4711-b", &json!({"customer": "none"})).await?;
    reaches(&engine, "4711-b", &["compensated"]).await?;
    ensure!(archived.lines(&["list", "--key", "4711"]).await?.is_empty());

    let copies = tempfile::tempdir()?;
    for file in archived.files()? {
        fs::copy(&file, copies.path().join(file.file_name().context("a file has a name")?))?;
    }
    it_is_erased(&archived, &engine, "4711").await?;
    it_is_nowhere(&archived, &engine, &id).await?;
    if form.is_sealed() {
        let copy = ["replay", "verify", "--with-keys", "--archive", text(copies.path())?];
        let read = archived.saga(&copy).await?;
        let told = String::from_utf8_lossy(&read.stdout).into_owned();
        ensure!(!read.status.success() && told.contains(&id) && !told.contains(CANARY), "{told}");
    }
    let files = archived.files()?;
    ensure!(files.iter().any(|file| file.to_string_lossy().ends_with("-1.saga.zst")), "{files:?}");
    engine.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_saga_in_an_archive_of_postgres_is_found_and_erased() -> Result<()> {
    a_saga_leaves_and_is_erased_in_its_archive(StoreForm::Postgres).await
}

#[tokio::test]
async fn a_saga_in_an_archive_of_an_encrypted_postgres_is_found_and_erased() -> Result<()> {
    a_saga_leaves_and_is_erased_in_its_archive(StoreForm::SealedPostgres).await
}

#[tokio::test]
async fn a_saga_in_an_archive_of_sqlite_is_found_and_erased() -> Result<()> {
    a_saga_leaves_and_is_erased_in_its_archive(StoreForm::Sqlite).await
}

#[tokio::test]
async fn a_saga_in_an_archive_of_an_encrypted_sqlite_is_found_and_erased() -> Result<()> {
    a_saga_leaves_and_is_erased_in_its_archive(StoreForm::SealedSqlite).await
}
