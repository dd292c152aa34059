//! `saga login` and `saga logout`: a login on a device (RFC 8628), kept for the commands that follow.

use super::{
    kept_logins::{KeptLogin, KeptLogins},
    output,
    server::ServerArgs,
};
use crate::{
    login::{IssuerEndpoints, bounded_json, discover, issuer_client},
    visible,
};
use anyhow::{Context, bail};
use clap::Args;
use reqwest::{Client, Url};
use saga_base::{clock::EngineClock, secrets};
use serde::Deserialize;
use serde_json::Value;
use std::{process::ExitCode, time::Duration};
use tokio::time::{Instant, sleep};

/// What a poll is for.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Between two polls, where the issuer says nothing else, and by how much it may grow.
const POLL: Duration = Duration::from_secs(5);
/// The longest wait for a person, whatever the issuer says.
const LONGEST: Duration = Duration::from_secs(1800);
/// How long a token is kept whose issuer does not say how long it is valid.
const UNSAID: Duration = Duration::from_secs(300);

/// Options of `saga login` and `saga logout`.
#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// How the engine says one logs in.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoginWaysText {
    login: bool,
    issuer: Option<String>,
    audience: Option<String>,
    device_client: Option<String>,
}

#[derive(Deserialize)]
struct DeviceText {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

/// Logs in, and keeps the token.
pub(super) async fn login(args: LoginArgs) -> anyhow::Result<ExitCode> {
    let server = args.server.without_login()?;
    let ways: LoginWaysText = serde_json::from_value(server.get("/api/login").await?)
        .context("the engine does not say how one logs in: it is older than this command")?;
    if !ways.login {
        output::note("the engine needs no login");
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(issuer), Some(client)) = (&ways.issuer, &ways.device_client) else {
        bail!(
            "the engine takes no login from a device\n\
             hint: use an API key with --token or SAGA_TOKEN, or set `api.auth.deviceClient` of the engine"
        );
    };
    let http = issuer_client()?;
    let endpoints = discover(&http, issuer).await?;
    let device = DeviceLogin { http, endpoints, client: client.clone() };
    let kept = device.run(ways.audience.as_deref()).await?;
    secrets::remember([kept.token.clone()]);
    let (expires, address) = (kept.expires.clone(), server.address().to_owned());
    let file = KeptLogins::read().or_else(|_| KeptLogins::forget(&address).and_then(|_| KeptLogins::read()))?;
    let file = file.keep(&address, kept)?;
    output::note(&format!("logged in to {address} until {expires}; {} has the token", file.display()));
    Ok(ExitCode::SUCCESS)
}

/// Forgets the token.
pub(super) fn logout(args: &LoginArgs) -> anyhow::Result<ExitCode> {
    let address = args.server.address()?;
    let had = KeptLogins::forget(&address)?;
    output::note(&if had { format!("logged out of {address}") } else { format!("there was no login for {address}") });
    Ok(ExitCode::SUCCESS)
}

/// One login on a device.
struct DeviceLogin {
    http: Client,
    endpoints: IssuerEndpoints,
    client: String,
}

impl DeviceLogin {
    async fn run(&self, audience: Option<&str>) -> anyhow::Result<KeptLogin> {
        let Some(endpoint) = &self.endpoints.device else {
            bail!("the issuer takes no login from a device\nhint: use an API key with --token or SAGA_TOKEN");
        };
        let mut form = vec![("client_id", self.client.as_str()), ("scope", "openid profile")];
        form.extend(audience.map(|audience| ("audience", audience)));
        let (is_well, answer) = self.post(endpoint, &form).await?;
        if !is_well {
            bail!("the issuer refuses the client `{}`: {}", self.client, told(&answer));
        }
        let device: DeviceText =
            serde_json::from_value(answer).context("the issuer does not answer as RFC 8628 says")?;
        let page = device.verification_uri_complete.as_ref().unwrap_or(&device.verification_uri);
        output::note(&format!(
            "open {} in a browser and confirm the code {}",
            visible::in_line(page),
            visible::in_line(&device.user_code)
        ));
        self.wait(&device).await
    }

    /// Asks until somebody has confirmed.
    async fn wait(&self, device: &DeviceText) -> anyhow::Result<KeptLogin> {
        let end = Instant::now() + Duration::from_secs(device.expires_in).min(LONGEST);
        let mut pause = device.interval.map_or(POLL, Duration::from_secs);
        let form = [("grant_type", GRANT), ("device_code", &device.device_code), ("client_id", &self.client)];
        while Instant::now() < end {
            sleep(pause).await;
            let (is_well, answer) = self.post(&self.endpoints.token, &form).await?;
            if is_well {
                return kept(&answer);
            }
            match answer["error"].as_str() {
                Some("authorization_pending") => {}
                Some("slow_down") => pause += POLL,
                Some("access_denied") => bail!("the login was refused in the browser"),
                Some("expired_token") => break,
                Some(_) | None => bail!("the issuer refuses the login: {}", told(&answer)),
            }
        }
        bail!("nobody confirmed the code in time\nhint: `saga login` again")
    }

    async fn post(&self, endpoint: &Url, form: &[(&str, &str)]) -> anyhow::Result<(bool, Value)> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(endpoint.clone()).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body).send().await.context("the issuer does not answer")?;
        let is_well = answer.status().is_success();
        Ok((is_well, bounded_json(answer).await.unwrap_or_default()))
    }
}

fn kept(answer: &Value) -> anyhow::Result<KeptLogin> {
    let token = answer["access_token"].as_str().context("the issuer answers no access token")?;
    let life = answer["expires_in"].as_u64().map_or(UNSAID, Duration::from_secs);
    Ok(KeptLogin::until(token.to_owned(), EngineClock::Wall.now().plus(life)))
}

/// What the issuer says, in a line.
fn told(answer: &Value) -> String {
    let said = answer["error_description"].as_str().or(answer["error"].as_str()).unwrap_or("it does not say why");
    visible::in_line(said).into_owned()
}
