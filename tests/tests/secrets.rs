//! Canaries: secrets of every kind that a configuration knows, given back by participants in every way that they have,
//! and nowhere to be found.

use anyhow::{Context, Result, ensure};
use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use saga_tests::{
    collector::TestCollector,
    engine::{Engine, binary, http_client},
    eventually::eventually,
    participant::{ParticipantScript, ScriptedAnswer, ScriptedBehaviour},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::process::Stdio;
use tokio::process::Command;

/// Kinds of secrets, and a value that occurs nowhere else. `/` and `&` are written in other ways in JSON and in URLs.
const STORE: &str = "CanaryStore0123456789";
const KAFKA: &str = "CanaryKafka0123456789";
const BEARER: &str = "Canary/Bearer&0123456789";
const BASIC: &str = "CanaryBasic0123456789";
/// `anna:` and [`BASIC`].
const BASIC_PAIR: &str = "YW5uYTpDYW5hcnlCYXNpYzAxMjM0NTY3ODk";
const HEADER: &str = "CanaryHeader0123456789";
const FROM_ENV: &str = "CanaryEnv0123456789";
const FROM_FILE: &str = "CanaryFile0123456789";
const RELOADED: &str = "CanaryReloaded0123456789";
const REFUSED: &str = "CanaryRefused0123456789";
/// The secret of a client of an issuer, and what the issuer gives for it.
const CLIENT: &str = "CanaryClient0123456789";
const ISSUED: &str = "CanaryIssued0123456789";
/// `saga:` and [`CLIENT`].
const CLIENT_PAIR: &str = "c2FnYTpDYW5hcnlDbGllbnQwMTIzNDU2Nzg5";

/// What is looked for. What is after a sign that is written in several ways is looked for alone.
const NEEDLES: [&str; 14] = [
    STORE,
    KAFKA,
    "Canary/",
    "Bearer&0123456789",
    BASIC,
    BASIC_PAIR,
    HEADER,
    FROM_ENV,
    FROM_FILE,
    RELOADED,
    REFUSED,
    CLIENT,
    CLIENT_PAIR,
    ISSUED,
];
/// Participants that repeat all that they were sent.
const ECHOES: [&str; 4] = ["bearer", "basic", "headed", "issued"];

/// The first needle that is in `text`, as it is, in hexadecimal digits, or in another writing.
fn found(text: &str) -> Option<&'static str> {
    let hex = |needle: &str| needle.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    NEEDLES.into_iter().find(|needle| text.contains(*needle) || text.contains(&hex(needle)))
}

/// Where it was looked, and what was found there.
#[derive(Default)]
struct Search {
    leaks: Vec<String>,
    bytes: usize,
}

impl Search {
    fn look(&mut self, place: &str, text: &str) {
        self.bytes += text.len();
        if let Some(needle) = found(text) {
            let at = text.find(needle).unwrap_or_default();
            let shown: String = text[text.floor_char_boundary(at.saturating_sub(80))..].chars().take(200).collect();
            self.leaks.push(format!("{needle} in {place}: …{shown}…"));
        }
    }

    fn end(self) -> Result<()> {
        ensure!(self.bytes > 10_000, "only {} bytes were looked at", self.bytes);
        ensure!(self.leaks.is_empty(), "{}", self.leaks.join("\n"));
        Ok(())
    }
}

/// Says all that it was sent: in the way that the path names.
async fn echo(request: Request) -> Response {
    let said: Vec<String> = request.headers().iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let said = said.join("; ");
    match request.uri().path() {
        "/token" => {
            let token = json!({"access_token": ISSUED, "token_type": "Bearer", "expires_in": 3600, "said": said});
            axum::Json(token).into_response()
        }
        "/no-token" => {
            let error = json!({"error": "invalid_client", "error_description": said});
            (StatusCode::BAD_REQUEST, axum::Json(error)).into_response()
        }
        "/refuse" => (StatusCode::UNPROCESSABLE_ENTITY, format!("I do not take {said}")).into_response(),
        "/problem" => {
            let problem = json!({"code": "no", "message": said, "detail": {"said": said}});
            (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(problem)).into_response()
        }
        "/fail" => {
            // Cut off in the middle of it, wherever the limit is.
            let text = format!("{}{said}", "x".repeat(200));
            (StatusCode::INTERNAL_SERVER_ERROR, text.repeat(40)).into_response()
        }
        "/place" => (StatusCode::ACCEPTED, [("location", place(request.headers()))]).into_response(),
        "/elsewhere" => (StatusCode::FOUND, [("location", place(request.headers()))]).into_response(),
        _ => axum::Json(json!({"said": said, "list": [said], said: true})).into_response(),
    }
}

fn place(headers: &HeaderMap) -> String {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    format!("/operations/1?token={}", token.replace(' ', "%20").replace('&', "%26").replace('/', "%2F"))
}

/// What the API and the pages say of more than one saga, and of what is wrong.
const PAGES: [&str; 16] = [
    "/api/sagas",
    "/api/guards",
    "/api/definitions",
    "/api/dead-letters",
    "/api/audit",
    "/api/sagas/no-such-saga",
    "/help/errors/unknown_route",
    "/metrics",
    "/monitoring/performance",
    "/monitoring/dlq",
    "/monitoring/circuit-breakers",
    "/monitoring/startup",
    "/health/ready",
    "/health/deep",
    "/dead-letters",
    "/",
];

const WAYS: [&str; 6] = ["give", "refuse", "problem", "fail", "place", "elsewhere"];

/// One saga that brings all answers into its journal: each step is optional.
fn steps(participant: &str) -> String {
    let step = |way: &&str| {
        format!(
            "  - {{step: {way}, do: POST {participant}/{way}, undo: POST {participant}/give, optional: true, retry: {{attempts: 1}}}}\n"
        )
    };
    let steps: String = WAYS.iter().map(step).collect();
    let output = "output: {said: \"${ has(steps.give) ? steps.give : {} }\"}\n";
    format!("steps:\n{steps}{output}")
}

/// The address of the same database for a role that has the canary for its password.
async fn role(url: &str) -> Result<String> {
    let role = saga_tests::unique("canary");
    let made = sqlx::AssertSqlSafe(format!("CREATE ROLE \"{role}\" LOGIN SUPERUSER PASSWORD '{STORE}'"));
    sqlx::query(made).execute(&mut PgConnection::connect(url).await?).await?;
    let (scheme, rest) = url.split_once("://").context("an address")?;
    let (_, place) = rest.rsplit_once('@').context("an address with a role")?;
    Ok(format!("{scheme}://{role}:{STORE}@{place}"))
}

async fn world() -> Result<Option<TestWorld>> {
    let refusal = ScriptedAnswer::Failed { code: "no".into(), message: format!("not {BEARER}"), retryable: false };
    let inventory = ParticipantScript::default()
        .on("reserve:do", move |_| ScriptedBehaviour { answer: refusal.clone(), ..ScriptedBehaviour::fail("no") })
        .on("give:do", |_| ScriptedBehaviour::succeed(json!({"said": HEADER})));
    let Some(mut world) = TestWorld::new(inventory, ParticipantScript::default()).await? else { return Ok(None) };
    let file = world.installation.folder().join("token");
    std::fs::write(&file, format!("{FROM_FILE}\n"))?;
    let with_password = role(world.database.url()).await?;
    let properties = json!({"sasl.username": "anna", "sasl.password": KAFKA});
    world.installation = world
        .installation
        .set("store", json!(with_password))
        .with("kafka", "properties", properties)
        .with_env("CANARY_TOKEN", FROM_ENV)
        .with_env("CANARY_CLIENT", CLIENT);
    Ok(Some(world))
}

/// What participants.yaml says of those who repeat everything.
fn echoes(world: &TestWorld, address: &str, bearer: &str) -> Value {
    let http = json!({"url": address});
    let file = world.installation.folder().join("token");
    let quick = json!({"attempts": 1});
    let breaker = json!({"minimumCalls": 1000});
    json!({
        "inventory": {"kafka": {"commands": world.inventory.topic()}, "retry": quick},
        "bearer": {"http": http, "authorization": format!("Bearer {bearer}"), "retry": quick, "breaker": breaker},
        "basic": {"http": http, "authorization": format!("Basic {BASIC_PAIR}="), "retry": quick, "breaker": breaker},
        "headed": {"http": http, "retry": quick, "breaker": breaker, "headers": {
            "X-Key": HEADER, "X-Env": "${ env.CANARY_TOKEN }", "X-File": format!("${{ file.{} }}", file.display()),
        }},
        "issued": {"http": http, "retry": quick, "breaker": breaker, "authorization": client(address, "token")},
        "unissued": {"http": http, "retry": quick, "breaker": breaker, "authorization": client(address, "no-token")},
    })
}

/// Credentials for an issuer at this path.
fn client(address: &str, path: &str) -> Value {
    let url = format!("{address}/{path}");
    json!({"clientCredentials": {"tokenUrl": url, "clientId": "saga", "clientSecret": "${ env.CANARY_CLIENT }"}})
}

async fn text_of(engine: &Engine, path: &str) -> Result<String> {
    Ok(http_client()?.get(format!("{}{path}", engine.api().base())).send().await?.text().await?)
}

/// What the API and the command line say of a saga.
async fn look_at_saga(search: &mut Search, engine: &Engine, world: &TestWorld, key: &str) -> Result<()> {
    let id = engine.api().get(&format!("/api/sagas/{key}")).await?.1["id"].as_str().context("an id")?.to_owned();
    for path in [format!("/api/sagas/{id}"), format!("/api/sagas/{id}/history"), format!("/sagas/{id}")] {
        search.look(&path, &text_of(engine, &path).await?);
    }
    for command in ["show", "history"] {
        let mut saga = Command::new(binary()?);
        saga.args([command, &id, "--output", "json", "--store", world.database.url()]).env_remove("SAGA_CONFIG");
        let said = saga.stdin(Stdio::null()).output().await?;
        search.look(command, &String::from_utf8_lossy(&said.stdout));
        search.look(command, &String::from_utf8_lossy(&said.stderr));
    }
    Ok(())
}

/// All rows of all tables.
async fn look_at_store(search: &mut Search, url: &str) -> Result<()> {
    let mut store = PgConnection::connect(url).await?;
    let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                  WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut store).await?;
    ensure!(tables.len() > 3, "{tables:?}");
    for table in tables {
        let rows = sqlx::AssertSqlSafe(format!("SELECT row_to_json(t)::text FROM {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut store).await?;
        search.look(&table, &rows.join("\n"));
    }
    Ok(())
}

/// What the engine wrote of its own: all of an event, the headers of a letter. Its value is what somebody else sent.
async fn look_at_topics(search: &mut Search, world: &TestWorld, events: usize, letters: usize) -> Result<()> {
    let published = world.kafka.read_until(&world.orders, WITHIN, |records| records.len() >= events).await?;
    for record in published {
        search.look("an event", &format!("{:?} {}", record.record.headers, record.json()));
    }
    for letter in world.kafka.read_until(world.installation.dlq(), WITHIN, |records| records.len() >= letters).await? {
        let own = letter.record.headers.iter().filter(|(name, _)| name.starts_with("saga_dlq_"));
        search.look("a letter", &own.map(|(name, value)| format!("{name}={value:?}")).collect::<String>());
    }
    Ok(())
}

#[tokio::test]
async fn no_secret_of_the_configuration_is_given_back() -> Result<()> {
    let Some(mut world) = world().await? else { return Ok(()) };
    let collector = TestCollector::start().await?;
    world.installation = world
        .installation
        .with_env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http())
        .with_env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .with_env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let echoing = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });
    world.installation.participants(&echoes(&world, &address, BEARER))?;
    let outcome = format!("onCompleted: {{publish: {}, type: OrderDone}}\n", world.orders);
    for name in ECHOES {
        world.define(name, &format!("{}{outcome}", steps(name)))?;
    }
    let inventory = "steps:\n  - {step: give, do: inventory.Give, undo: inventory.Take}\n  - {step: reserve, do: inventory.Reserve, undo: inventory.Release}\n";
    world.define("kafka", inventory)?;
    world.define("unissued", "steps:\n  - {step: give, do: POST unissued/give, undo: POST unissued/take}\n")?;

    let engine = world.start().await?;
    // The stream has no end, and the usual client gives up after a while.
    let patient = reqwest::Client::builder().no_proxy().build()?;
    let mut following = patient.get(format!("{}/api/guards/events", engine.api().base())).send().await?;
    world.order("4711", &json!({})).await?;
    for name in ECHOES.into_iter().chain(["kafka"]) {
        ended(&engine, name, "4711").await?;
    }
    reaches(&engine, "4711?saga=unissued", &["parked"]).await?;

    // Another token, and then a file that is refused for the slip in it.
    world.installation.participants(&echoes(&world, &address, RELOADED))?;
    reload(&engine).await?;
    world.order("4712", &json!({})).await?;
    for name in ECHOES.into_iter().chain(["kafka"]) {
        ended(&engine, name, "4712").await?;
    }
    let mut refused = echoes(&world, &address, REFUSED);
    refused["bearer"]["authorisation"] = json!(format!("Bearer {REFUSED}"));
    refused["headed"]["http"] = json!({"url": format!("https://anna:{REFUSED}@host/?token={REFUSED}")});
    world.installation.participants(&refused)?;
    let told = reload(&engine).await?;
    // Nobody can read this one, and the letter says why.
    world.order("4713", &json!({"orderId": null})).await?;

    let mut search = Search::default();
    search.look("saga guard reload", &told);
    for name in ECHOES.into_iter().chain(["kafka", "unissued"]) {
        for key in ["4711", "4712"] {
            look_at_saga(&mut search, &engine, &world, &format!("{key}?saga={name}")).await?;
        }
    }
    for path in PAGES {
        search.look(path, &text_of(&engine, path).await?);
    }
    for guard in ECHOES.into_iter().chain(["unissued", "inventory"]) {
        let path = format!("/api/guards/{guard}");
        search.look(&path, &text_of(&engine, &path).await?);
    }
    look_at_topics(&mut search, &world, 11, 6).await?;
    look_at_store(&mut search, world.database.url()).await?;
    engine_stream(&mut search, &mut following).await?;
    eventually("spans are there", WITHIN, || async { Ok((collector.spans().len() > 20).then_some(())) }).await?;
    collector.spans().iter().for_each(|span| search.look("a span", &format!("{span:?} {}", span.text)));
    let log = engine.log()?;
    engine.terminate().await?;
    search.look("the log", &log);
    echoing.abort();
    search.end()
}

/// Until the refusal, which comes last.
async fn engine_stream(search: &mut Search, following: &mut reqwest::Response) -> Result<()> {
    let mut text = String::new();
    let read = async {
        while !text.contains("configRefused") {
            let Some(some) = following.chunk().await? else { break };
            text.push_str(&String::from_utf8_lossy(&some));
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(WITHIN, read).await??;
    search.look("the stream of events", &text);
    Ok(())
}

async fn ended(engine: &Engine, saga: &str, key: &str) -> Result<()> {
    reaches(engine, &format!("{key}?saga={saga}"), &["completed", "compensated"]).await.map(drop)
}

/// What `saga guard reload` says.
async fn reload(engine: &Engine) -> Result<String> {
    let output = Command::new(binary()?).args(["guard", "reload", "--server", engine.api().base()]).output().await?;
    Ok(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_without_its_secrets() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("sagas"))?;
    std::fs::write(folder.path().join("sagas/a.saga.yaml"), "saga: a\n")?;
    let kafka = format!("{{properties: {{sasl.password: {KAFKA}, sasl.mechanism: {KAFKA}, no.such: x}}}}");
    let configs = [
        format!("store: postgres://anna:{STORE}@nowhere:x/y\n"),
        format!("store: postgres:/anna:{STORE}@nowhere/y?password={STORE}\n"),
        format!("store: sqlite:./a.db\nkafka: {{sasl.password: {KAFKA}}}\n"),
        format!("store: sqlite:./a.db\nkafka: {kafka}\n"),
        format!("kafka:\n  properties:\n    sasl.password: [{KAFKA}]\n"),
        format!("kafka:\n\tproperties: {{sasl.password: {KAFKA}\n"),
    ];
    let mut search = Search { bytes: 10_000, ..Search::default() };
    for (number, config) in configs.iter().enumerate() {
        let path = folder.path().join(format!("config-{number}.yaml"));
        std::fs::write(&path, config)?;
        let mut saga = Command::new(binary()?);
        let said = saga.args(["serve", "--config"]).arg(&path).stdin(Stdio::null()).kill_on_drop(true).output().await?;
        ensure!(!said.status.success(), "{config}");
        let told = [said.stdout, said.stderr].concat();
        ensure!(!told.is_empty(), "{config} is refused without a word");
        search.look(
            config.lines().next().unwrap_or_default().split(':').next().unwrap_or_default(),
            &String::from_utf8_lossy(&told),
        );
    }
    search.end()
}
