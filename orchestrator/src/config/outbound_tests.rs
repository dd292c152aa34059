//! Where participants may be, secrets in the file itself, and databases whose identity nobody checks.

use super::{ConfigSources, EngineConfig, EngineConfigError, load, secrets_in_file};
use std::{collections::BTreeMap, net::IpAddr};

fn read(text: &str, env: &[(&str, &str)]) -> (Result<EngineConfig, EngineConfigError>, Vec<String>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, text).expect("written");
    let env: BTreeMap<_, _> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sources = ConfigSources { file: Some(&file), env, flags: Vec::new() };
    (load(&sources), secrets_in_file(&sources).into_iter().map(|found| found.message).collect())
}

fn warnings(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    read(text, env).0.expect("it can be used").warnings
}

#[test]
fn where_participants_may_be_is_a_list_in_a_file_or_in_the_environment() {
    let may = |config: &EngineConfig, host: &str, address: &str| {
        config.outbound.check(host, address.parse::<IpAddr>().expect("an address")).is_ok()
    };
    let file =
        "outbound: {allow: [10.0.0.0/8, '*.example.com'], allowReserved: [169.254.10.7]}\nstore: sqlite:./a.db\n";
    let config = read(file, &[]).0.expect("right");
    assert!(may(&config, "a.example.com", "1.2.3.4") && may(&config, "b", "10.1.1.1") && !may(&config, "b", "1.2.3.4"));
    assert!(!may(&config, "a", "169.254.10.7"), "what is not reserved any more has to be in the list");
    let env = [("SAGA_OUTBOUND_ALLOW_RESERVED", "169.254.10.7, fe80::/10")];
    let config = read("store: sqlite:./a.db\n", &env).0.expect("right");
    assert!(may(&config, "b", "169.254.10.7") && may(&config, "b", "1.2.3.4") && !may(&config, "b", "169.254.169.254"));
    let wrong = "outbound: {allow: [], allowReserved: [metadata]}\nstore: sqlite:./a.db\n";
    let told = read(wrong, &[]).0.expect_err("wrong").to_string();
    assert!(
        told.contains("`outbound.allow` is empty") && told.contains("`outbound.allowReserved`: `metadata`"),
        "{told}"
    );
}

#[test]
fn a_secret_in_the_file_itself_is_a_warning_that_says_what_to_write() {
    let literal = "store: postgres://saga:in-the-file@db.example.com/saga?sslmode=verify-full\nkafka: {properties: \
                   {sasl.mechanism: PLAIN, sasl.username: anna, sasl.password: in-the-file}}\n";
    let (config, found) = read(literal, &[]);
    let warnings = config.expect("it can be used").warnings;
    assert!(warnings.len() == 2 && found.len() == 2, "{warnings:?} {found:?}");
    for told in ["`kafka.properties.sasl.password`", "${ env.NAME }", "`store`", "`SAGA_STORE`"] {
        assert!(found.iter().any(|it| it.contains(told)) && warnings.iter().any(|it| it.contains(told)), "{found:?}");
    }
    assert!(!warnings.concat().contains("in-the-file"), "{warnings:?}");
    let referred = "store: postgres://saga:saga@localhost/saga\nkafka: {properties: {sasl.mechanism: PLAIN, \
                    sasl.username: anna, sasl.password: '${ env.KAFKA_PASSWORD }'}}\n";
    let (config, found) = read(referred, &[("KAFKA_PASSWORD", "not-in-the-file")]);
    assert_eq!((config.expect("it can be used").warnings, found), (vec![], vec![]));
}

#[test]
fn a_database_elsewhere_whose_identity_nobody_checks_is_a_warning() {
    let store = |address: &str| warnings("{}\n", &[("SAGA_STORE", address)]);
    for unverified in ["", "?sslmode=require", "?sslmode=disable"] {
        let told = store(&format!("postgres://saga:a-password@db.example.com/saga{unverified}")).concat();
        assert!(
            told.contains("db.example.com") && told.contains("verify-full") && !told.contains("a-password"),
            "{told}"
        );
    }
    for fine in [
        "postgres://saga:a-password@db.example.com/saga?sslmode=verify-full",
        "postgres://saga:a-password@127.0.0.1/saga",
        "postgres://saga@[::1]:5433/saga",
        "postgres:///saga?host=/run/postgresql",
        "sqlite:./saga.db",
    ] {
        assert_eq!(store(fine), Vec::<String>::new(), "{fine}");
    }
}
