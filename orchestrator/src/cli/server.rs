//! An engine's API, for commands that act and for those that ask how an engine stands.

use super::ConfigFile;
use crate::config::{self, Sources};
use anyhow::{Context, bail};
use clap::Args;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// Longer than the API waits for the disposition of an act and for what comes of it.
const PATIENCE: Duration = Duration::from_secs(25);
/// For a connection: an engine that is there takes it at once.
const CONNECT: Duration = Duration::from_secs(5);

/// Which engine.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// Address of an engine's API, instead of the configuration's api.listen
    #[arg(long, env = "SAGA_SERVER", value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

/// An engine's API.
pub(super) struct Server {
    address: String,
    client: reqwest::Client,
}

impl ServerArgs {
    /// That of a command that has these arguments beside others.
    pub(super) fn of(server: Option<String>, file: ConfigFile) -> ServerArgs {
        ServerArgs { server, file }
    }

    /// The engine that the arguments or the configuration name.
    pub(super) fn open(&self) -> anyhow::Result<Server> {
        crate::participants::install_tls();
        let client = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT).build()?;
        Ok(Server { address: self.address()?, client })
    }

    fn address(&self) -> anyhow::Result<String> {
        if let Some(server) = &self.server {
            return checked(server);
        }
        let mut address = config::load(&Sources::of_process(self.file.config.as_deref(), Vec::new()))?.listen;
        // Who listens everywhere is also here.
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        Ok(format!("http://{address}"))
    }
}

/// What is no address is told as that, and not as an engine that does not answer.
fn checked(server: &str) -> anyhow::Result<String> {
    let url = reqwest::Url::parse(server).ok();
    if url.is_none_or(|url| !matches!(url.scheme(), "http" | "https") || !url.has_host()) {
        bail!(
            "`{server}` is not the address of an engine's API\nhint: write it as http://host:port, in --server or SAGA_SERVER"
        );
    }
    Ok(server.trim_end_matches('/').to_owned())
}

impl Server {
    /// What the engine answers at `path`, which begins with a slash.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let response = self.send(self.client.get(self.url(path)).timeout(PATIENCE)).await?;
        Ok(serde_json::from_slice(&response.bytes().await?)?)
    }

    /// The same, for what goes on and on: without a time limit.
    pub(super) async fn follow(&self, path: &str) -> anyhow::Result<Response> {
        self.send(self.client.get(self.url(path))).await
    }

    /// What the engine answers to `body`.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.client.post(self.url(path)).timeout(PATIENCE);
        let request = request.header("content-type", "application/json").body(serde_json::to_vec(body)?);
        let response = self.send(request).await?;
        Ok(serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null))
    }

    /// Asks the engine to end what is at `path`.
    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.send(self.client.delete(self.url(path)).timeout(PATIENCE)).await.map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// An answer that is not a success is an error, in the engine's words.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = request
            .send()
            .await
            .with_context(|| format!("no engine answers at {}\nhint: --server names one", self.address))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let answer: Value = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
        match (answer.pointer("/error/message"), answer.pointer("/error/hint")) {
            (Some(Value::String(message)), Some(Value::String(hint))) => bail!("{message}\nhint: {hint}"),
            _ => bail!("{} answers {status}, as no engine does\nhint: --server names one", self.address),
        }
    }
}

/// One segment of a path, or one value of a query.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn what_is_no_address_is_told_as_that() {
        assert_eq!(checked("http://localhost:8080/").expect("an address"), "http://localhost:8080");
        for wrong in ["foo", "localhost:8080", "ftp://host", ""] {
            let said = checked(wrong).expect_err(wrong).to_string();
            assert!(said.contains("http://host:port") && said.contains(&format!("`{wrong}`")), "{said}");
        }
    }
}
