//! The schema registry in a configuration.

use super::{ConfigSources, EngineConfig, load};
use saga_registry::RegistryCredentials;

fn check(file: &str, env: &[(&str, &str)]) -> Result<EngineConfig, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("c.yaml");
    std::fs::write(&path, file).expect("written");
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let loaded = load(&ConfigSources { file: Some(&path), env, flags: Vec::new() });
    loaded.map_err(|error| error.0.join("\n").replace(&folder.path().display().to_string(), ""))
}

#[test]
fn a_registry_has_addresses_and_credentials_that_nothing_shows() {
    let file = "schemaRegistry: {url: ['http://one:8081', 'http://two:8081'], user: app, password: 'env:SAGA_REG'}\n";
    let config = check(file, &[("SAGA_REG", "t0p-s3cret")]).expect("good");
    assert!(!format!("{config:?}").contains("t0p-s3cret"));
    assert_eq!(config.schema_registry.expect("a registry").name, "http://one:8081/, http://two:8081/");
    assert_eq!(saga_base::secrets::covered("x t0p-s3cret y"), "x *** y");
    let in_address = check("schemaRegistry: {url: 'http://u:s3cr3tpw@one:8081'}\n", &[]).expect("good");
    assert!(!format!("{in_address:?}").contains("s3cr3tpw"));
    assert!(check("", &[]).expect("good").schema_registry.is_none());
}

#[test]
fn what_makes_no_registry_is_refused_and_not_shown() {
    for (file, told) in [
        ("{url: 'registry:8081'}", "`schemaRegistry.url`: address 1 of the schema registry is no URL"),
        ("{user: app, password: 'env:PW'}", "`schemaRegistry.user`: expected `schemaRegistry.url`, too"),
        ("{url: 'http://r', user: app}", "`schemaRegistry.user`: expected `schemaRegistry.password`, too"),
        ("{url: 'http://r', password: 'env:PW'}", "`schemaRegistry.password`: expected `schemaRegistry.user`, too"),
        ("{url: 'http://r', user: app, password: s3cr3t}", "expected the place of a secret: `env:NAME` or `file:PATH`"),
        ("{url: 'http://r', token: 'env:NOT_SET'}", "the environment variable `NOT_SET` is not set"),
        ("{url: 'http://r', token: 'env:PW', user: app}", "expected either a token, or `schemaRegistry.user`"),
        ("{url: 'http://u:p@r', token: 'env:PW'}", "credentials in its address and beside it"),
    ] {
        let refused = check(&format!("schemaRegistry: {file}\n"), &[("PW", "a-word")]).expect_err(file);
        assert!(refused.contains(told) && !refused.contains("s3cr3t"), "{refused}");
    }
}

#[test]
fn the_environment_names_a_registry_too() {
    let env = [("SAGA_SCHEMA_REGISTRY_URL", "http://r"), ("SAGA_SCHEMA_REGISTRY_TOKEN", "env:T"), ("T", "t0k3n-long")];
    let registry = check("", &env).expect("good").schema_registry.expect("a registry");
    assert!(matches!(registry.settings.credentials(), RegistryCredentials::Bearer(_)));
}
