//! Who may call the API: `api.auth`, and what stands for it where there is no login.

use super::ConfigValidator;
use crate::login::{CodeFlowConfig, LoginConfig, LoginRole, RoleGrant, TokenRules, safe_address};
use serde_json::Value;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// Whether everybody who reaches the API may everything.
pub(super) const INSECURE: &str = "api.insecure";
/// The file of static keys.
pub(super) const KEY_FILE: &str = "api.auth.keys";
/// The issuer of tokens, as their claim `iss` has it.
pub(super) const ISSUER: &str = "api.auth.issuer";
/// For whom tokens have to be: one of their `aud`.
pub(super) const AUDIENCE: &str = "api.auth.audience";
/// Where the issuer has its keys.
pub(super) const JWKS: &str = "api.auth.jwks";
/// The claim with the roles, as a path with dots.
pub(super) const ROLES_CLAIM: &str = "api.auth.rolesClaim";
/// What values of that claim allow; a map whose names may have dots.
pub(super) const ROLES: &str = "api.auth.roles";
/// By how many seconds clocks may differ.
pub(super) const TOKEN_SKEW: &str = "api.auth.skewSeconds";
/// Whether metrics need no login.
pub(super) const OPEN_METRICS: &str = "api.auth.openMetrics";
/// The place of the key that seals sessions.
pub(super) const SESSION_KEY: &str = "api.auth.sessionKey";
/// The client as which the pages log in at the issuer.
pub(super) const CLIENT: &str = "api.auth.pages.client";
/// The place of its secret.
pub(super) const CLIENT_SECRET: &str = "api.auth.pages.secret";
/// Where browsers come back to.
pub(super) const CALLBACK: &str = "api.auth.pages.callback";
/// The client as which commands log in at the issuer.
pub(super) const DEVICE_CLIENT: &str = "api.auth.deviceClient";
/// What is only for tokens.
const OF_TOKENS: [&str; 9] =
    [ISSUER, AUDIENCE, JWKS, ROLES_CLAIM, TOKEN_SKEW, CLIENT, CLIENT_SECRET, CALLBACK, DEVICE_CLIENT];
/// The path of the page to which the issuer sends browsers back.
const CALLBACK_PATH: &str = "/login/callback";
/// The most seconds by which clocks may differ.
const MOST_SKEW: u64 = 300;

/// Who may call the API.
#[derive(Clone, Debug)]
pub(crate) enum ApiAccess {
    /// Everybody on this machine; the address is a loopback address.
    Local,
    /// Everybody who reaches the address: the configuration says that this is meant.
    Insecure,
    /// Who has logged in.
    Login(Box<LoginConfig>),
    /// The configuration does not say it: the API cannot be served.
    Undecided,
}

impl ConfigValidator<'_> {
    /// Reads `api.insecure` and `api.auth`.
    pub(super) fn access(&mut self, listen: SocketAddr) -> ApiAccess {
        let insecure = self.flag(INSECURE);
        let login = self.login();
        match (login, insecure) {
            (Some(_), true) => {
                self.wrong(INSECURE, "expected `false` beside `api.auth`: with a login nobody else may call the API");
                ApiAccess::Undecided
            }
            (Some(login), false) => ApiAccess::Login(Box::new(login)),
            (None, true) => ApiAccess::Insecure,
            (None, false) if listen.ip().is_loopback() => ApiAccess::Local,
            (None, false) => ApiAccess::Undecided,
        }
    }

    /// An API that others can reach needs a login, or the word that it needs none.
    pub(super) fn access_is_decided(&mut self, access: &ApiAccess, listen: SocketAddr) {
        if matches!(access, ApiAccess::Undecided) && self.layers.get(INSECURE).is_none_or(|set| set.value != "true") {
            self.wrong(
                "api.listen",
                &format!(
                    "others can reach {listen}, and the API has no login: write `{KEY_FILE}: ./keys.yaml` and make a \
                     key with `saga keys create`, or `{ISSUER}` and its companions for tokens, or `api.tls.clients` for certificates; or listen on \
                     127.0.0.1; or write `{INSECURE}: true` (--insecure), and everybody may act"
                ),
            );
        }
    }

    fn login(&mut self) -> Option<LoginConfig> {
        let keys = self.layers.get(KEY_FILE).is_some().then(|| self.path(KEY_FILE, "./keys.yaml"));
        let is_of_tokens = OF_TOKENS.iter().any(|key| self.layers.get(key).is_some()) || self.layers.roles.is_some();
        let tokens = if is_of_tokens { self.token_rules() } else { None };
        let (open_metrics, session_key) = (self.flag(OPEN_METRICS), self.session_key());
        let clients = self.certificate_clients();
        let has_login = keys.is_some() || is_of_tokens || !clients.is_empty();
        for key in [OPEN_METRICS, SESSION_KEY].into_iter().filter(|_| !has_login) {
            if self.layers.get(key).is_some() {
                self.wrong(key, &format!("expected a login, too: `{KEY_FILE}` or `{ISSUER}`"));
            }
        }
        let (code_flow, device_client) =
            (self.code_flow(), self.layers.get(DEVICE_CLIENT).map(|set| set.value.clone()));
        has_login.then_some(LoginConfig { keys, tokens, code_flow, device_client, clients, open_metrics, session_key })
    }

    fn token_rules(&mut self) -> Option<TokenRules> {
        let (issuer, audience) = (self.needed(ISSUER)?, self.needed(AUDIENCE)?);
        let jwks = self.needed(JWKS)?;
        let Some(jwks) = safe_address(&jwks) else {
            self.wrong(JWKS, "expected https://HOST/PATH of a JWK set without credentials; http only on this machine");
            return None;
        };
        let skew = self.checked(TOKEN_SKEW, "60", &format!("a number of seconds from 0 to {MOST_SKEW}"), |text| {
            text.parse().ok().filter(|seconds| *seconds <= MOST_SKEW).map(Duration::from_secs)
        });
        let roles_claim = self.checked(ROLES_CLAIM, "roles", "a path like `roles` or `realm_access.roles`", claim_path);
        let roles = self.roles()?;
        Some(TokenRules { issuer, audience, jwks, skew, roles_claim, roles })
    }

    fn code_flow(&mut self) -> Option<CodeFlowConfig> {
        let [client, secret, callback] = [CLIENT, CLIENT_SECRET, CALLBACK].map(|key| self.layers.get(key).is_some());
        if !client && !secret && !callback {
            return None;
        }
        if !client || !callback {
            let missing = if client { CALLBACK } else { CLIENT };
            self.wrong_in_file(missing, "the pages need `client` and `callback` below `api.auth.pages`: set it");
            return None;
        }
        let client = self.text(CLIENT, "");
        let expected = format!("https://HOST{CALLBACK_PATH}, as browsers reach this engine; http only on this machine");
        let address = self.layers.get(CALLBACK).map(|set| set.value.clone()).unwrap_or_default();
        let Some(callback) = safe_address(&address).filter(|url| url.path() == CALLBACK_PATH && url.query().is_none())
        else {
            self.wrong(CALLBACK, &format!("expected {expected}"));
            return None;
        };
        let secret = if secret { Some(self.secret(CLIENT_SECRET)?) } else { None };
        Some(CodeFlowConfig { client, secret, callback })
    }

    /// A secret at a place that the key names.
    fn secret(&mut self, key: &str) -> Option<String> {
        let written = self.layers.get(key)?.value.clone();
        self.secret_at(key, &written, "secret").map(|(_, text)| text)
    }

    fn needed(&mut self, key: &str) -> Option<String> {
        let given = self.layers.get(key).map(|setting| setting.value.clone()).filter(|text| !text.trim().is_empty());
        if given.is_none() {
            self.wrong_in_file(key, "tokens need `issuer`, `audience`, `jwks` and `roles` below `api.auth`: set it");
        }
        given
    }

    /// Of what the file lacks, or has in a map.
    pub(super) fn wrong_in_file(&mut self, key: &str, why: &str) {
        self.errors.push(format!("{}: `{key}`: {why}", self.layers.file));
    }

    fn roles(&mut self) -> Option<BTreeMap<String, RoleGrant>> {
        let expected =
            "expected names of the claim with a role each, like `saga-admins: {role: admin, payloads: true}`";
        match self.layers.roles.as_ref().map(grants_of) {
            Some(Ok(roles)) if !roles.is_empty() => Some(roles),
            Some(Err(wrong)) if !wrong.is_empty() => {
                for name in wrong {
                    let expected = "expected viewer, operator, admin, or {role: ROLE, payloads: true or false}";
                    self.wrong_in_file(&format!("{ROLES}.{name}"), expected);
                }
                Some(BTreeMap::new())
            }
            Some(_) | None => {
                self.wrong_in_file(ROLES, expected);
                None
            }
        }
    }

    fn flag(&mut self, key: &str) -> bool {
        self.checked(key, "false", "`true` or `false`", |text| text.parse().ok())
    }

    fn session_key(&mut self) -> Option<[u8; 32]> {
        let written = self.layers.get(SESSION_KEY)?.value.clone();
        self.key_bytes_at(SESSION_KEY, &written)
    }
}

fn claim_path(text: &str) -> Option<Vec<String>> {
    let names: Vec<String> = text.split('.').map(str::to_owned).collect();
    names.iter().all(|name| !name.trim().is_empty()).then_some(names)
}

/// What names allow; else those whose value is none, or no name if the value is no map.
pub(super) fn grants_of(written: &Value) -> Result<BTreeMap<String, RoleGrant>, Vec<String>> {
    let Value::Object(written) = written else { return Err(Vec::new()) };
    let wrong: Vec<String> =
        written.iter().filter(|(_, value)| grant_of(value).is_none()).map(|(name, _)| name.clone()).collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(written.iter().filter_map(|(name, value)| Some((name.clone(), grant_of(value)?))).collect())
}

fn grant_of(value: &Value) -> Option<RoleGrant> {
    let (role, payloads) = match value {
        Value::String(role) => (role.as_str(), false),
        Value::Object(members) => {
            if members.keys().any(|name| name != "role" && name != "payloads") {
                return None;
            }
            let payloads = members.get("payloads").map_or(Some(false), Value::as_bool)?;
            (members.get("role")?.as_str()?, payloads)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    Some(RoleGrant { role: LoginRole::named(role)?, payloads })
}
