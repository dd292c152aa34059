//! The login of the API on a real engine: keys made by the command, roles, payloads, who acts, sessions.

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, Response, StatusCode, redirect::Policy};
use saga_tests::{
    engine::{Engine, binary, http_client},
    eventually::eventually,
    participant::ParticipantScript,
    world::{TestWorld, WITHIN},
};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Output};
use tokio::process::Command;

const STEPS: &str = "
sensitive: [card.number]
steps:
  - step: charge
    do: POST payments/charges
    with: {note: \"${ event.note }\", card: \"${ event.card }\"}
    undo: POST payments/refunds
";
/// What an order carries, and who may not see payloads must not find.
const CANARY: &str = "CANARY-4711";
/// What the definition calls sensitive.
const SENSITIVE: &str = "SENSITIVE-4712";

/// A world with an engine that has a login.
struct LoginWorld {
    world: TestWorld,
    engine: Engine,
    keys: PathBuf,
    viewer: String,
    operator: String,
    admin: String,
    client: Client,
}

async fn saga(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(binary()?).args(arguments).env("USER", "ada").output().await?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl LoginWorld {
    async fn new() -> Result<Option<LoginWorld>> {
        let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
            return Ok(None);
        };
        world.define("order", STEPS)?;
        let keys = world.installation.folder().join("keys.yaml");
        let file = keys.to_string_lossy().into_owned();
        let make = async |more: &[&str]| {
            let made = saga(&[&["keys", "create", "--file", &file], more].concat()).await?;
            ensure!(made.status.success(), "{}", said(&made));
            Ok::<String, anyhow::Error>(String::from_utf8(made.stdout)?.trim().to_owned())
        };
        let viewer = make(&["--id", "screen", "--role", "viewer"]).await?;
        let operator = make(&["--id", "ops", "--role", "operator", "--payloads", "--expires", "1d"]).await?;
        let admin = make(&["--id", "root", "--role", "admin", "--payloads"]).await?;
        world.installation = world.installation.with("api", "auth", json!({"keys": keys}));
        let engine = world.start().await?;
        drop(http_client()?);
        let client = Client::builder().redirect(Policy::none()).no_proxy().build()?;
        Ok(Some(LoginWorld { world, engine, keys, viewer, operator, admin, client }))
    }

    async fn ask(&self, method: Method, path: &str, key: Option<&str>, body: Option<Value>) -> Result<Response> {
        let mut request = self.client.request(method, format!("{}{path}", self.engine.api().base()));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        Ok(request.send().await?)
    }

    async fn get(&self, path: &str, key: &str) -> Result<(StatusCode, String)> {
        let answer = self.ask(Method::GET, path, Some(key), None).await?;
        Ok((answer.status(), answer.text().await?))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_payloads_finds_none_and_everything_else() -> Result<()> {
    let Some(here) = LoginWorld::new().await? else { return Ok(()) };
    here.world.order("o-1", &json!({"note": CANARY, "card": {"number": SENSITIVE}})).await?;
    let ended = eventually("the saga ends", WITHIN, || async {
        let (_, text) = here.get("/api/sagas/o-1", &here.viewer).await?;
        Ok(text.contains("\"completed\"").then_some(()))
    });
    ended.await?;
    // The feed shows events a moment later: not before no older transaction can still commit.
    let fed = eventually("the feed has the saga", WITHIN, || async {
        Ok(here.get("/api/events", &here.operator).await?.1.contains(CANARY).then_some(()))
    });
    fed.await?;
    for path in [
        "/api/sagas/o-1",
        "/api/sagas/o-1?payloads=full",
        "/api/sagas/o-1/history?payloads=full",
        "/api/sagas/o-1/diff?from=1&to=2",
        "/api/sagas/o-1/events?payloads=full",
        "/api/events",
        "/sagas/o-1?payloads=full",
        "/",
        "/api/sagas",
    ] {
        let (status, text) = here.get(path, &here.viewer).await?;
        ensure!(status == StatusCode::OK && !text.contains(CANARY), "{path}: {status}: {text}");
    }
    for path in ["/api/sagas/o-1", "/api/sagas/o-1/history", "/api/events", "/sagas/o-1"] {
        let (status, text) = here.get(path, &here.operator).await?;
        ensure!(status == StatusCode::OK && text.contains(CANARY), "{path}: {status}: {text}");
        ensure!(!text.contains(SENSITIVE) && text.contains("(masked: sensitive)"), "{path}: {text}");
    }
    for path in ["/api/sagas/o-1", "/api/sagas/o-1/history", "/sagas/o-1"] {
        let asked = format!("{path}?sensitive=shown");
        let (status, text) = here.get(&asked, &here.operator).await?;
        ensure!(status == StatusCode::FORBIDDEN && !text.contains(SENSITIVE), "{asked}: {status}: {text}");
        let (status, text) = here.get(&asked, &here.admin).await?;
        ensure!(status == StatusCode::OK && text.contains(SENSITIVE), "{asked}: {status}: {text}");
    }
    let nobody = here.ask(Method::GET, "/api/sagas/o-1", None, None).await?;
    ensure!(nobody.status() == StatusCode::UNAUTHORIZED && nobody.headers().contains_key("www-authenticate"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_says_who_acts_until_its_key_is_removed() -> Result<()> {
    let Some(here) = LoginWorld::new().await? else { return Ok(()) };
    let server = here.engine.api().base();
    let open = ["guard", "open", "payments", "--reason", "they migrate", "--server", server];
    let without = saga(&open).await?;
    ensure!(!without.status.success() && said(&without).contains("--token"), "{}", said(&without));
    let below = saga(&[&open[..], &["--token", &here.viewer]].concat()).await?;
    ensure!(said(&below).contains("role operator, and yours is viewer"), "{}", said(&below));
    let other = saga(&[&open[..], &["--token", &here.operator, "--who", "bert"]].concat()).await?;
    ensure!(said(&other).contains("another name than that of the login, `key:ops`"), "{}", said(&other));
    let opened = saga(&[&open[..], &["--token", &here.operator]].concat()).await?;
    ensure!(opened.status.success(), "{}", said(&opened));
    let (_, acts) = here.get("/api/guards/acts", &here.viewer).await?;
    let acts: Value = serde_json::from_str(&acts)?;
    ensure!(acts["acts"][0]["who"] == "key:ops" && acts["acts"].as_array().map(Vec::len) == Some(1), "{acts}");
    let log = here.engine.log()?;
    ensure!(log.contains("who=\"key:ops\"") || log.contains("key:ops"), "{log}");
    ensure!(!log.contains(&here.operator) && !log.contains(&here.viewer), "a key is in the log");
    let all = std::fs::read_to_string(&here.keys)?;
    let kept: Vec<&str> = all.lines().filter(|line| !line.contains("ops")).collect();
    std::fs::write(&here.keys, kept.join("\n"))?;
    ensure!(here.get("/api/guards", &here.operator).await?.0 == StatusCode::UNAUTHORIZED);
    ensure!(here.get("/api/guards", &here.viewer).await?.0 == StatusCode::OK);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_does_not_suffice_is_logged() -> Result<()> {
    let Some(here) = LoginWorld::new().await? else { return Ok(()) };
    let body = json!({"reason": "they migrate"});
    let refused = here.ask(Method::POST, "/api/guards/payments/open", Some(&here.viewer), Some(body)).await?;
    ensure!(refused.status() == StatusCode::FORBIDDEN);
    let log = here.engine.log()?;
    ensure!(log.contains("the role of a caller does not suffice") && log.contains("key:screen"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_logs_in_and_acts_from_our_pages_only() -> Result<()> {
    let Some(here) = LoginWorld::new().await? else { return Ok(()) };
    let base = here.engine.api().base();
    let form = |token: &str| {
        let form = here.client.post(format!("{base}/login"));
        form.header("content-type", "application/x-www-form-urlencoded").body(format!("token={token}"))
    };
    ensure!(form("saga_ops_wrong").send().await?.status() == StatusCode::UNAUTHORIZED);
    let elsewhere = form(&here.operator).header("sec-fetch-site", "cross-site").send().await?;
    ensure!(elsewhere.status() == StatusCode::FORBIDDEN);
    let come_in = form(&here.operator).send().await?;
    ensure!(come_in.status() == StatusCode::SEE_OTHER);
    let set = come_in.headers()["set-cookie"].to_str()?.to_owned();
    ensure!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains(&here.operator), "{set}");
    let cookie = set.split(';').next().context("a cookie")?.to_owned();
    let page = here.client.get(format!("{base}/guards")).header("cookie", &cookie).header("accept", "text/html");
    ensure!(page.send().await?.status() == StatusCode::OK);
    let session = here.client.get(format!("{base}/api/session")).header("cookie", &cookie).send().await?;
    let session: Value = serde_json::from_str(&session.text().await?)?;
    ensure!(session["who"] == "key:ops" && session["role"] == "operator", "{session}");
    let act = |token: Option<&str>| {
        let act = here.client.post(format!("{base}/api/guards/payments/open")).header("cookie", &cookie);
        let act = act.header("content-type", "application/json").body(r#"{"reason": "they migrate"}"#);
        match token {
            Some(token) => act.header("x-csrf-token", token),
            None => act,
        }
    };
    ensure!(act(None).send().await?.status() == StatusCode::FORBIDDEN);
    let token = session["pageToken"].as_str().context("a token")?;
    ensure!(act(Some(token)).send().await?.status() == StatusCode::OK);
    let out = here.client.post(format!("{base}/logout")).header("cookie", &cookie).send().await?;
    ensure!(out.headers()["set-cookie"].to_str()?.contains("Max-Age=0"));
    Ok(())
}

#[tokio::test]
async fn an_api_that_others_can_reach_does_not_start_without_a_login() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sagas = folder.path().join("sagas");
    std::fs::create_dir(&sagas)?;
    std::fs::write(sagas.join("order.saga.yaml"), "saga: order\n")?;
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, json!({"api": {"listen": "0.0.0.0:0"}, "sagas": sagas}).to_string())?;
    let refused = saga(&["serve", "--config", &config.to_string_lossy()]).await?;
    let told = said(&refused);
    ensure!(!refused.status.success() && told.contains("the API has no login"), "{told}");
    ensure!(
        told.contains("api.auth.keys") && told.contains("--insecure") && told.contains("saga keys create"),
        "{told}"
    );
    let shipped = saga_tests::repository_root().join("deploy/config.yaml");
    ensure!(std::fs::read_to_string(shipped)?.contains("insecure: true"), "the container would not start");
    Ok(())
}
