//! Postgres and Kafka as containers, for machines with a Docker engine.

use anyhow::{Context, Result};
use std::{net::TcpListener, time::Duration};
use testcontainers::{
    ContainerAsync, ContainerRequest, GenericImage, ImageExt,
    core::{IntoContainerPort, WaitFor},
    runners::AsyncRunner,
};
use uuid::Uuid;

/// Image of the broker; `tests/run` sets it.
pub const KAFKA_IMAGE: &str = "SAGA_TEST_KAFKA_IMAGE";
/// Image of the database; `tests/run` sets it.
pub const POSTGRES_IMAGE: &str = "SAGA_TEST_POSTGRES_IMAGE";

/// A broker forms its quorum and a database its cluster first; both on a machine that may be busy compiling.
const START: Duration = Duration::from_secs(120);
/// Of ten thousand ports most are free.
const PORTS_TRIED: usize = 1000;
/// The same settings as a broker that runs as a process.
const KAFKA_SETTINGS: &str = include_str!("../servers/kafka.properties");

/// A container and the address under which it answers.
pub struct RunningContainer {
    /// Gone when dropped.
    pub container: ContainerAsync<GenericImage>,
    /// What to connect to.
    pub address: String,
}

/// Starts a broker and returns when it answers.
///
/// # Errors
/// When the engine does not answer, the image is missing, or the broker does not start.
pub async fn kafka() -> Result<RunningContainer> {
    let port = free_port()?;
    let mut request = image(KAFKA_IMAGE)?
        .with_wait_for(WaitFor::message_on_either_std("Kafka Server started"))
        // A fixed port: the broker has to advertise it, and it must not change when the container starts again.
        .with_mapped_port(port, 9092.tcp())
        .with_startup_timeout(START);
    for (name, value) in broker_settings(port) {
        request = request.with_env_var(name, value);
    }
    let container = request.start().await?;
    Ok(RunningContainer { container, address: format!("127.0.0.1:{port}") })
}

/// Starts a database server and returns when it answers.
///
/// # Errors
/// When the engine does not answer, the image is missing, or the server does not start.
pub async fn postgres() -> Result<RunningContainer> {
    let port = free_port()?;
    let request: ContainerRequest<GenericImage> = image(POSTGRES_IMAGE)?
        // Not "ready to accept connections": the official image says that also of the server that prepares the cluster,
        // which does not listen on TCP.
        .with_wait_for(WaitFor::message_on_stderr("listening on IPv4 address"))
        .with_mapped_port(port, 5432.tcp())
        .with_env_var("POSTGRES_PASSWORD", "saga")
        .with_cmd(["postgres", "-c", "max_connections=300"])
        .with_startup_timeout(START);
    let container = request.start().await?;
    Ok(RunningContainer { container, address: format!("postgres://postgres:saga@127.0.0.1:{port}/postgres") })
}

/// The image's environment variables are the broker's settings in capitals with underscores for dots.
fn broker_settings(port: u16) -> Vec<(String, String)> {
    let shared = KAFKA_SETTINGS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let advertised = format!("HOST://127.0.0.1:{port},BROKER://localhost:19092");
    let own = [
        ("node.id", "1"),
        ("process.roles", "broker,controller"),
        ("controller.quorum.voters", "1@localhost:9093"),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "BROKER"),
        ("listener.security.protocol.map", "HOST:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("listeners", "HOST://0.0.0.0:9092,BROKER://0.0.0.0:19092,CONTROLLER://0.0.0.0:9093"),
        ("advertised.listeners", advertised.as_str()),
    ];
    let variable =
        |(key, value): (&str, &str)| (format!("KAFKA_{}", key.replace('.', "_").to_uppercase()), value.into());
    let mut variables: Vec<(String, String)> = shared.chain(own).map(variable).collect();
    variables.push(("KAFKA_HEAP_OPTS".into(), "-Xmx1g".into()));
    variables
}

fn image(variable: &str) -> Result<GenericImage> {
    let name = std::env::var(variable).with_context(|| format!("{variable} is not set"))?;
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name.to_owned(), tag.to_owned()),
        Some(_) | None => (name, "latest".to_owned()),
    };
    Ok(GenericImage::new(name, tag))
}

/// Below the range from which the system gives ports to outgoing connections and to whoever asks for any: a port that
/// is free now is still free when the container takes it, and again when it starts the next time.
fn free_port() -> Result<u16> {
    let is_free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    let drawn = std::iter::repeat_with(|| 20_000 + u16::try_from(Uuid::new_v4().as_u128() % 10_000).unwrap_or(0));
    drawn.take(PORTS_TRIED).find(is_free).context("no free port between 20000 and 30000")
}
