//! Which Postgres and which Kafka the tests talk to.
//!
//! `tests/run` provides them and says where they are in the environment. A test that needs a server and has none says
//! so on the terminal and ends; under `CI=true` it fails, so that nothing goes untested unnoticed.

use crate::{control::ServerControl, kafka::TestKafka, postgres::PostgresServer};
use std::io::Write as _;

/// Connection string of a role that may create databases.
pub const POSTGRES_URL: &str = "SAGA_TEST_POSTGRES_URL";
/// The same for Postgres 18.
pub const POSTGRES_URL_18: &str = "SAGA_TEST_POSTGRES_URL_18";
/// Program that stops and starts the Postgres of [`POSTGRES_URL`].
pub const POSTGRES_CONTROL: &str = "SAGA_TEST_POSTGRES_CONTROL";
/// Jar of the JDBC driver of Postgres.
pub const JDBC: &str = "SAGA_TEST_JDBC";
/// Confluent's API of a schema registry.
pub const REGISTRY: &str = "SAGA_TEST_REGISTRY";
/// Folder of the jars of Kafka, for brokers of a test's own.
pub const KAFKA_JARS: &str = "SAGA_TEST_KAFKA_JARS";
/// Set where the engines of the tests were built with TLS to Kafka.
pub const KAFKA_TLS: &str = "SAGA_TEST_KAFKA_TLS";
/// Bootstrap servers.
pub const KAFKA: &str = "SAGA_TEST_KAFKA";
/// Program that stops and starts the broker of [`KAFKA`].
pub const KAFKA_CONTROL: &str = "SAGA_TEST_KAFKA_CONTROL";

/// The Kafka of this run; `None` has been reported.
#[must_use]
pub fn kafka() -> Option<TestKafka> {
    address(KAFKA).map(|bootstrap| TestKafka::new(bootstrap, ServerControl::from_env(KAFKA_CONTROL)))
}

/// The Postgres of this run; `None` has been reported.
#[must_use]
pub fn postgres() -> Option<PostgresServer> {
    address(POSTGRES_URL).map(|url| PostgresServer::new(url, ServerControl::from_env(POSTGRES_CONTROL)))
}

/// The newer Postgres of this run; `None` has been reported.
#[must_use]
pub fn postgres_18() -> Option<PostgresServer> {
    address(POSTGRES_URL_18).map(|url| PostgresServer::new(url, None))
}

/// The JDBC driver of this run; `None` has been reported.
#[must_use]
pub fn jdbc_driver() -> Option<String> {
    address(JDBC)
}

/// Confluent's API of the schema registry of this run; `None` has been reported.
#[must_use]
pub fn schema_registry() -> Option<String> {
    address(REGISTRY)
}

/// Reports that the running test cannot test, because of `reason`.
///
/// # Panics
/// Under `CI=true`: there a test that does not test is a failure.
pub fn report_not_run(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} cannot run: {reason}");
    tell_not_run(&format!("{reason}; `tests/run` provides it"));
}

/// The same for what not every machine can have: it fails nowhere.
///
/// # Panics
/// When the standard error stream takes no line.
pub fn tell_not_run(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Written to the stream itself: what `eprintln!` prints is kept from view while a test passes.
    let line = format!("NOT RUN: {test}: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("the standard error stream takes a line");
}

fn address(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        report_not_run(&format!("{variable} is not set"));
    }
    value
}
