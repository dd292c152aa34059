//! The API of an engine, for commands that act or ask for the state of an engine.

use super::{
    ConfigFileArgs, OutputFormat,
    kept_logins::{self, KeptLogins},
};
use crate::config::{self, ConfigSources};
use anyhow::{Context, bail};
use clap::Args;
use reqwest::{
    Certificate, ClientBuilder, Identity, RequestBuilder, Response,
    header::{AUTHORIZATION, HeaderValue},
};
use saga_base::{clock::EngineClock, secrets::address_shown};
use serde_json::Value;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};

/// Maximum wait for an answer: longer than the API waits for the result of an act.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(25);
/// Maximum wait for a connection, which an engine that runs takes at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The error for an answer that this version cannot read.
pub(super) const NEWER_ENGINE: &str = "the engine is newer than this command: use the `saga` of its version";

/// Options that name an engine.
#[derive(Clone, Debug, Args)]
pub(super) struct ServerArgs {
    /// Address of the API of an engine [default: api.listen of the configuration]
    #[arg(long, env = "SAGA_SERVER", hide_env_values = true, value_name = "URL")]
    server: Option<String>,
    /// API key or token of the login
    #[arg(long, env = "SAGA_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    #[command(flatten)]
    tls: ClientTlsArgs,
    #[command(flatten)]
    file: ConfigFileArgs,
}

/// Options of TLS to an engine.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ClientTlsArgs {
    /// File with the authority that signed the certificate of the engine [default: those of this machine]
    #[arg(long, env = "SAGA_CA", hide_env_values = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File with a certificate that is the login, and its key
    #[arg(long, env = "SAGA_CERTIFICATE", hide_env_values = true, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

impl ClientTlsArgs {
    fn of_environment() -> ClientTlsArgs {
        let file = |name: &str| std::env::var_os(name).map(PathBuf::from);
        ClientTlsArgs { ca: file("SAGA_CA"), certificate: file("SAGA_CERTIFICATE") }
    }

    /// With these authorities and no others, and with the certificate.
    fn applied(&self, mut builder: ClientBuilder) -> anyhow::Result<ClientBuilder> {
        let read = |file: &Path| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        if let Some(file) = &self.ca {
            let authorities = Certificate::from_pem_bundle(&read(file)?).ok().filter(|found| !found.is_empty());
            let none = || format!("{} has no certificate in PEM\nhint: --ca takes the authority's", file.display());
            builder = builder.tls_certs_only(authorities.with_context(none)?);
        }
        if let Some(file) = &self.certificate {
            let none =
                || format!("{} has no certificate and key in PEM\nhint: write both into one file", file.display());
            builder = builder.identity(Identity::from_pem(&read(file)?).with_context(none)?);
        }
        Ok(builder)
    }
}

/// Options that name an engine, and the format of the output.
#[derive(Debug, Args)]
pub(super) struct ServerOutputArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: OutputFormat,
}

/// A client of the API of one engine.
pub(super) struct ApiClient {
    address: String,
    /// The header of the login; without one the body of an act says who acts.
    login: Option<HeaderValue>,
    /// Whether the certificate of this client is a login.
    has_login: bool,
    client: reqwest::Client,
}

impl ServerArgs {
    /// For a command that has these options beside others.
    pub(super) fn of(server: Option<String>, file: ConfigFileArgs) -> ServerArgs {
        ServerArgs { server, token: std::env::var("SAGA_TOKEN").ok(), tls: ClientTlsArgs::of_environment(), file }
    }

    /// The engine that the arguments or the configuration name.
    pub(super) fn open(&self) -> anyhow::Result<ApiClient> {
        saga_resilience::transport::install_tls();
        let address = self.address()?;
        let login = self.login(&address)?;
        self.client(address, login)
    }

    /// The same, as somebody who has not logged in.
    pub(super) fn without_login(&self) -> anyhow::Result<ApiClient> {
        saga_resilience::transport::install_tls();
        self.client(self.address()?, None)
    }

    fn client(&self, address: String, login: Option<HeaderValue>) -> anyhow::Result<ApiClient> {
        let builder = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT_TIMEOUT);
        let client = self.tls.applied(builder)?.build()?;
        Ok(ApiClient { address, login, has_login: self.tls.certificate.is_some(), client })
    }

    /// What `--token` says, or what `saga login` has kept for this engine; a certificate is a login by itself.
    fn login(&self, address: &str) -> anyhow::Result<Option<HeaderValue>> {
        let typed = self.token.as_deref().map(str::trim).filter(|token| !token.is_empty()).map(str::to_owned);
        let token = match typed {
            Some(token) => Some(token),
            None if self.tls.certificate.is_some() => None,
            None => kept_token(address)?,
        };
        let Some(token) = token else { return Ok(None) };
        saga_base::secrets::remember([token.clone()]);
        let Ok(mut header) = HeaderValue::from_str(&format!("Bearer {token}")) else {
            bail!("the token has characters that no header takes\nhint: --token and SAGA_TOKEN take a key or a token")
        };
        header.set_sensitive(true);
        Ok(Some(header))
    }

    /// The option that names the same engine from everywhere, and its value. Credentials are not in it.
    pub(super) fn again(&self) -> (&'static str, String) {
        match (&self.server, &self.file.config) {
            (Some(server), _) => ("--server", address_shown(server)),
            (None, Some(file)) => {
                let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
                ("--config", file.display().to_string())
            }
            (None, None) => ("--server", self.address().unwrap_or_else(|_| "http://host:port".to_owned())),
        }
    }

    /// The address of the engine.
    pub(super) fn address(&self) -> anyhow::Result<String> {
        if let Some(server) = &self.server {
            return checked(server);
        }
        own_address(&self.file)
    }
}

/// The token that `saga login` has kept for this engine.
fn kept_token(address: &str) -> anyhow::Result<Option<String>> {
    if kept_logins::file().is_none() {
        return Ok(None);
    }
    let kept = KeptLogins::read()?;
    let Some(login) = kept.of(address) else { return Ok(None) };
    if login.has_ended(EngineClock::Wall.now()) {
        bail!(
            "the login to {} ended at {}\nhint: `saga login` again, or --token",
            address_shown(address),
            login.expires
        );
    }
    Ok(Some(login.token.clone()))
}

/// The address of the engine that the configuration is of, from this machine.
pub(super) fn own_address(file: &ConfigFileArgs) -> anyhow::Result<String> {
    let (mut address, has_tls) = config::own_api(&ConfigSources::of_process(file.config.as_deref(), Vec::new()))?;
    // An engine that listens on all addresses also listens on this one.
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Ok(format!("{}://{address}", if has_tls { "https" } else { "http" }))
}

/// The error for a text that is no address says so, instead of saying that no engine answers.
fn checked(server: &str) -> anyhow::Result<String> {
    let url = reqwest::Url::parse(server).ok();
    let is_base = |url: reqwest::Url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none()
    };
    if !url.is_some_and(is_base) {
        bail!(
            "`{}` is not the address of an engine's API\n\
             hint: write it as http://host:port, in --server or SAGA_SERVER",
            address_shown(server)
        );
    }
    Ok(server.trim_end_matches('/').to_owned())
}

impl ApiClient {
    /// Where the engine is.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The JSON that the engine answers at `path`, which begins with a slash.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let response = self.send(self.client.get(self.url(path)).timeout(ANSWER_TIMEOUT)).await?;
        Ok(serde_json::from_slice(&response.bytes().await?)?)
    }

    /// The same for a stream: without a time limit for the whole answer.
    pub(super) async fn follow(&self, path: &str) -> anyhow::Result<Response> {
        self.send(self.client.get(self.url(path))).await
    }

    /// The JSON that the engine answers to `body`.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.client.post(self.url(path)).timeout(ANSWER_TIMEOUT);
        let body = serde_json::to_vec(&self.named(body))?;
        let request = request.header("content-type", "application/json").body(body);
        let response = self.send(request).await?;
        Ok(serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null))
    }

    /// The same under an id by which a repeat is known.
    pub(super) async fn post_once(&self, path: &str, id: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.client.post(self.url(path)).timeout(ANSWER_TIMEOUT).header("idempotency-key", id);
        let body = serde_json::to_vec(&self.named(body))?;
        let response = self.send(request.header("content-type", "application/json").body(body)).await?;
        Ok(serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null))
    }

    /// With the name of this user, where nobody is named and no login says who acts.
    fn named(&self, body: &Value) -> Value {
        let mut body = body.clone();
        if self.login.is_none() && !self.has_login && body.get("who").is_some_and(Value::is_null) {
            body["who"] = super::who::name().into();
        }
        body
    }

    /// Asks the engine to end the job at `path`.
    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.send(self.client.delete(self.url(path)).timeout(ANSWER_TIMEOUT)).await.map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// An answer that is not a success is an error with the message and the hint of the engine.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let request = match &self.login {
            Some(login) => request.header(AUTHORIZATION, login),
            None => request,
        };
        let response = request.send().await.with_context(|| {
            let hint = if self.address.starts_with("https:") {
                "--server names an engine as its certificate does, --ca the file of who signed the certificate"
            } else {
                "--server names an engine"
            };
            format!("no engine answers at {}\nhint: {hint}", address_shown(&self.address))
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let answer: Value = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
        match (&answer["detail"], &answer["hint"]) {
            (Value::String(detail), Value::String(hint)) => bail!("{detail}\nhint: {hint}"),
            _ => {
                bail!(
                    "{} answers {status}, but not as an engine does\nhint: --server names an engine",
                    address_shown(&self.address)
                )
            }
        }
    }
}

/// One segment of a path, or one value of a query.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_told_as_that() {
        assert_eq!(checked("http://localhost:8080/").expect("an address"), "http://localhost:8080");
        for wrong in ["foo", "localhost:8080", "ftp://host", ""] {
            let said = checked(wrong).expect_err(wrong).to_string();
            assert!(said.contains("http://host:port") && said.contains(&format!("`{wrong}`")), "{said}");
        }
    }

    #[test]
    fn no_error_shows_the_credentials_of_an_address() {
        for wrong in
            ["u:CANARY@h:1", "ftp://u:CANARY@h", "http://h/?token=CANARY", "http://u:CAN@ARY@", "http:u:CANARY@"]
        {
            let said = checked(wrong).expect_err(wrong).to_string();
            assert!(!said.contains("ARY") && said.contains("http://host:port"), "{said}");
        }
    }

    #[test]
    fn the_same_engine_is_named_from_everywhere() {
        let again = |server: Option<&str>, file: Option<&str>| {
            let file = ConfigFileArgs { config: file.map(Into::into) };
            ServerArgs::of(server.map(str::to_owned), file).again()
        };
        assert_eq!(again(Some("http://h:1"), Some("c.yaml")), ("--server", "http://h:1".into()));
        assert_eq!(again(Some("http://u:CANARY@h:1"), None), ("--server", "http://…@h:1".into()));
        assert_eq!(again(None, Some("/etc/saga.yaml")), ("--config", "/etc/saga.yaml".into()));
        let here = std::env::current_dir().expect("a folder").join("c.yaml").display().to_string();
        assert_eq!(again(None, Some("c.yaml")), ("--config", here));
        assert_eq!(again(None, None).0, "--server");
    }

    #[tokio::test]
    async fn an_engine_that_does_not_answer_is_named_without_credentials() {
        let server = Some("http://u:CANARY@127.0.0.1:1".to_owned());
        let server = ServerArgs::of(server, ConfigFileArgs::default()).open().expect("an address");
        let said = format!("{:#}", server.get("/api/guards").await.expect_err("nobody listens"));
        assert!(!said.contains("CANARY") && said.contains("http://…@127.0.0.1:1"), "{said}");
    }
}
