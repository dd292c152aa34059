//! Logins at an issuer: browsers through its page, commands from a device, and answers that no honest issuer gives.

#[path = "issuer/provider.rs"]
mod provider;

use anyhow::{Context, Result, ensure};
use provider::{ProviderFault, TestProvider, pairs};
use reqwest::{Client, Response, StatusCode, redirect::Policy};
use saga_tests::{
    engine::{Engine, binary, http_client},
    participant::ParticipantScript,
    world::TestWorld,
};
use serde_json::{Value, json};
use std::{os::unix::fs::PermissionsExt, path::Path, process::Output};
use tokio::process::Command;

const STEPS: &str = "\nsteps:\n  - {step: charge, do: POST payments/charges, undo: POST payments/refunds}\n";

/// An engine whose logins are at a provider, and a browser.
struct IssuerWorld {
    world: TestWorld,
    engine: Engine,
    provider: TestProvider,
    browser: Client,
}

/// A browser that comes back from the provider.
struct ComingBack {
    cookie: String,
    code: String,
    state: String,
    iss: String,
}

impl ComingBack {
    fn query(&self) -> String {
        format!("code={}&state={}&iss={}", self.code, self.state, self.iss)
    }
}

impl IssuerWorld {
    async fn new() -> Result<Option<IssuerWorld>> {
        let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
            return Ok(None);
        };
        world.define("order", STEPS)?;
        let provider = TestProvider::start().await?;
        let login = json!({
            "issuer": provider.base,
            "audience": "saga",
            "jwks": format!("{}/jwks", provider.base),
            "roles": {"ops": "operator"},
            "pages": {"client": "saga-pages", "callback": "http://localhost/login/callback"},
            "deviceClient": "saga-cli",
        });
        world.installation = world.installation.with("api", "auth", login);
        let engine = world.start().await?;
        drop(http_client()?);
        let browser = Client::builder().redirect(Policy::none()).no_proxy().build()?;
        Ok(Some(IssuerWorld { world, engine, provider, browser }))
    }

    async fn get(&self, path: &str, cookie: Option<&str>) -> Result<Response> {
        let request = self.browser.get(format!("{}{path}", self.engine.api().base()));
        let request = match cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        Ok(request.send().await?)
    }

    /// Goes to the provider, and is about to come back.
    async fn coming_back(&self, next: &str) -> Result<ComingBack> {
        let sent = self.get(&format!("/login/issuer?next={next}"), None).await?;
        ensure!(sent.status() == StatusCode::SEE_OTHER, "{}: {}", sent.status(), sent.text().await?);
        let set = sent.headers()["set-cookie"].to_str()?.to_owned();
        ensure!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Max-Age=600"), "{set}");
        let cookie = set.split(';').next().context("a cookie")?.to_owned();
        let confirmed = self.browser.get(sent.headers()["location"].to_str()?).send().await?;
        let back = confirmed.headers()["location"].to_str()?.to_owned();
        let found = pairs(back.split_once('?').context("a query")?.1);
        let of = |name: &str| found.get(name).cloned().with_context(|| format!("{name} in {back}"));
        Ok(ComingBack { cookie, code: of("code")?, state: of("state")?, iss: of("iss")? })
    }

    async fn back(&self, query: &str, cookie: Option<&str>) -> Result<Response> {
        self.get(&format!("/login/callback?{query}"), cookie).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_logs_in_at_the_issuer() -> Result<()> {
    let Some(here) = IssuerWorld::new().await? else { return Ok(()) };
    let login = here.get("/login", None).await?.text().await?;
    ensure!(login.contains("/login/issuer"), "{login}");
    let coming = here.coming_back("/guards").await?;
    let arrived = here.back(&coming.query(), Some(&coming.cookie)).await?;
    ensure!(arrived.status() == StatusCode::OK && arrived.headers()["refresh"] == "0; url=/guards", "{arrived:?}");
    let set: Vec<&str> = arrived.headers().get_all("set-cookie").iter().filter_map(|it| it.to_str().ok()).collect();
    ensure!(set.iter().any(|cookie| cookie.starts_with("saga_login=;") && cookie.contains("Max-Age=0")), "{set:?}");
    let session = set.iter().find(|cookie| cookie.starts_with("saga_session=")).context("a session")?;
    ensure!(session.contains("SameSite=Strict"), "{session}");
    let session = session.split(';').next().context("a cookie")?;
    let who: Value = serde_json::from_str(&here.get("/api/session", Some(session)).await?.text().await?)?;
    ensure!(who["who"] == "anna" && who["role"] == "operator", "{who}");
    for elsewhere in ["//evil.example", "https://evil.example", "/%5Cevil.example"] {
        let coming = here.coming_back(elsewhere).await?;
        let arrived = here.back(&coming.query(), Some(&coming.cookie)).await?;
        ensure!(arrived.headers()["refresh"] == "0; url=/", "{elsewhere}: {arrived:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_honest_issuer_answers_is_no_login() -> Result<()> {
    let Some(here) = IssuerWorld::new().await? else { return Ok(()) };
    let refused = async |name: &str, query: String, cookie: Option<&str>| {
        let answer = here.back(&query, cookie).await?;
        let (status, set) = (answer.status(), answer.headers().get("set-cookie").is_some());
        ensure!(status == StatusCode::UNAUTHORIZED && !set, "{name}: {status}: {}", answer.text().await?);
        Ok::<(), anyhow::Error>(())
    };
    let coming = here.coming_back("/").await?;
    let (query, cookie) = (coming.query(), Some(coming.cookie.as_str()));
    refused("no login has begun", query.clone(), None).await?;
    refused("a cookie that was made up", query.clone(), Some("saga_login=AAAA")).await?;
    refused("another state", query.replace(&coming.state, "another"), cookie).await?;
    refused("no state", format!("code={}", coming.code), cookie).await?;
    refused("another issuer", query.replace(&coming.iss, "https://other.example"), cookie).await?;
    refused("an error of the issuer", format!("{query}&error=access_denied"), cookie).await?;
    refused("no code", format!("state={}", coming.state), cookie).await?;
    let other = here.coming_back("/").await?;
    refused("the code of another login", query.replace(&coming.code, &other.code), cookie).await?;
    ensure!(here.back(&query, cookie).await?.status() == StatusCode::OK, "the login itself is good");
    refused("a code that was used", query, cookie).await?;
    for fault in [
        ProviderFault::Nonce,
        ProviderFault::Issuer,
        ProviderFault::Audience,
        ProviderFault::Expired,
        ProviderFault::Signature,
    ] {
        let coming = here.coming_back("/").await?;
        here.provider.answers_with(fault);
        refused(&format!("{fault:?}"), coming.query(), Some(&coming.cookie)).await?;
        here.provider.answers_with(ProviderFault::None);
    }
    let log = here.engine.log()?;
    ensure!(log.contains("wrong nonce") && !log.contains("CODE-"), "{log}");
    Ok(())
}

async fn saga(home: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.args(arguments).env("USER", "ada").env("XDG_STATE_HOME", home);
    Ok(command.output().await?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_logs_in_from_a_device() -> Result<()> {
    let Some(here) = IssuerWorld::new().await? else { return Ok(()) };
    let (home, server) = (here.world.installation.folder().join("state"), here.engine.api().base());
    let act = ["guard", "open", "payments", "--reason", "they migrate", "--server", server];
    ensure!(said(&saga(&home, &act).await?).contains("this needs a login"));
    let login = saga(&home, &["login", "--server", server]).await?;
    ensure!(login.status.success() && said(&login).contains("WDJB-MJHT"), "{}", said(&login));
    let file = home.join("saga/logins.json");
    ensure!(std::fs::metadata(&file)?.permissions().mode() & 0o777 == 0o600);
    let token = std::fs::read_to_string(&file)?;
    ensure!(token.contains("eyJ") && !said(&login).contains("eyJ"), "{}", said(&login));
    let acted = saga(&home, &act).await?;
    ensure!(acted.status.success(), "{}", said(&acted));
    let (_, acts) = (here.provider.answers_with(ProviderFault::Short), here.engine.log()?);
    ensure!(acts.contains("anna"), "{acts}");
    ensure!(saga(&home, &["logout", "--server", server]).await?.status.success() && !file.exists());
    ensure!(said(&saga(&home, &act).await?).contains("this needs a login"));
    ensure!(saga(&home, &["login", "--server", server]).await?.status.success());
    let ended = saga(&home, &act).await?;
    ensure!(!ended.status.success() && said(&ended).contains("`saga login` again"), "{}", said(&ended));
    Ok(())
}
