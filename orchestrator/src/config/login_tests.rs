//! What `api.auth` takes, and what stops the start.

use super::{ApiAccess, ConfigSources, EngineConfigError, load};
use std::{collections::BTreeMap, fs};

fn read(yaml: &str) -> Result<ApiAccess, EngineConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.yaml");
    fs::write(&file, yaml).expect("a file");
    let sources = ConfigSources { file: Some(&file), env: BTreeMap::new(), flags: Vec::new() };
    load(&sources).map(|config| config.access)
}

const TOKENS: &str = "api:
  listen: 0.0.0.0:8080
  auth:
    issuer: https://login.example.com/
    audience: saga
    jwks: https://login.example.com/jwks.json
    rolesClaim: realm_access.roles
    roles: {saga.admins: {role: admin, payloads: true}, ops: operator}
";

#[test]
fn tokens_are_configured_with_their_roles() {
    let Ok(ApiAccess::Login(login)) = read(TOKENS) else { panic!("a login is configured") };
    let rules = login.tokens.expect("tokens are taken");
    assert_eq!(rules.roles_claim, ["realm_access", "roles"]);
    assert_eq!(rules.roles.keys().collect::<Vec<_>>(), ["ops", "saga.admins"]);
    assert!(rules.roles["saga.admins"].payloads && !rules.roles["ops"].payloads);
}

#[test]
fn without_a_login_the_address_decides() {
    assert!(matches!(read("api: {listen: 127.0.0.1:8080}"), Ok(ApiAccess::Local)));
    assert!(matches!(read("api: {listen: 0.0.0.0:8080}"), Ok(ApiAccess::Undecided)));
    assert!(matches!(read("api: {listen: 0.0.0.0:8080, insecure: true}"), Ok(ApiAccess::Insecure)));
    assert!(matches!(read("api: {listen: 0.0.0.0:8080, auth: {keys: ./keys.yaml}}"), Ok(ApiAccess::Login(_))));
}

#[test]
fn a_wrong_key_is_told_with_its_place() {
    let wrong = |yaml: &str| read(yaml).expect_err(yaml).to_string();
    for (from, to, said) in [
        (
            "https://login.example.com/jwks.json",
            "http://login.example.com/jwks.json",
            "`api.auth.jwks`: expected https",
        ),
        ("https://login.example.com/jwks.json", "https://u:p@h/jwks.json", "`api.auth.jwks`: expected https"),
        ("    audience: saga\n", "", "`api.auth.audience`: tokens need"),
        ("ops: operator", "ops: root", "`api.auth.roles.ops`: expected viewer"),
        ("payloads: true", "payload: true", "`api.auth.roles.saga.admins`: expected"),
        ("realm_access.roles", "realm_access.", "`api.auth.rolesClaim`"),
        ("audience: saga", "audience: saga\n    skewSeconds: 301", "`api.auth.skewSeconds` is `301`"),
        ("audience: saga", "audience: saga\n    openMetric: true", "did you mean `api.auth.openMetrics`?"),
        ("listen: 0.0.0.0:8080", "insecure: true", "`api.insecure`: expected `false`"),
    ] {
        let told = wrong(&TOKENS.replace(from, to));
        assert!(told.contains(said) && told.contains("config.yaml"), "{told}");
    }
    assert!(wrong("api: {auth: {openMetrics: true}}").contains("expected a login, too"));
    let key = wrong("api: {auth: {keys: k, sessionKey: c2VjcmV0}}");
    assert!(key.contains("expected the place of a key") && !key.contains("c2VjcmV0"), "{key}");
}
