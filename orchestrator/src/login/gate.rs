//! One place that knows whether a key, a token or a session is valid.

use super::{
    LoginConfig,
    code_flow::{CodeAnswer, CodeFlow, EndedLogin},
    identity::{LoginIdentity, LoginProof, RoleGrant},
    jwks::IssuerKeySource,
    key_file::{KeyFileWatch, PREFIX},
    refusal::LoginRefusal,
    session::{SessionContent, SessionSeal},
    token::{TokenRefusal, TokenRules},
};
use reqwest::Url;
use saga_base::sync::UnpoisonedMutex;
use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

/// Verifies logins.
#[derive(Debug)]
pub(crate) struct LoginGate {
    keys: Option<UnpoisonedMutex<KeyFileWatch>>,
    tokens: Option<TokenGate>,
    clients: BTreeMap<String, RoleGrant>,
    seal: SessionSeal,
}

#[derive(Debug)]
struct TokenGate {
    rules: TokenRules,
    source: Arc<IssuerKeySource>,
    code_flow: Option<CodeFlow>,
    device_client: Option<String>,
}

/// How people can log in, for pages and commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoginWays {
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<String>,
    /// Whether the pages lead to the issuer's own.
    pub(crate) has_code_flow: bool,
    pub(crate) device_client: Option<String>,
}

impl TokenGate {
    /// Old keys are fetched again beside the answer.
    async fn identity(&self, token: &str) -> Result<LoginIdentity, TokenRefusal> {
        let read = self.rules.verified(token, &self.source).await;
        if self.source.is_stale() {
            self.refresh_beside();
        }
        read.map(|(identity, _)| identity)
    }

    fn refresh_beside(&self) {
        let source = Arc::clone(&self.source);
        tokio::spawn(async move { source.refresh().await });
    }
}

impl LoginGate {
    /// Asks the issuer for its keys at once, beside the start: its log says if they cannot be had.
    ///
    /// # Errors
    /// The file of keys cannot be read, or the process has no random bytes.
    pub(crate) fn open(config: LoginConfig) -> anyhow::Result<LoginGate> {
        let keys = config.keys.map(KeyFileWatch::open).transpose()?;
        let (code_flow, device_client) = (config.code_flow, config.device_client);
        let token_gate = |rules: TokenRules| -> anyhow::Result<TokenGate> {
            let code_flow = code_flow.map(|flow| CodeFlow::new(flow, &rules)).transpose()?;
            let source = Arc::new(IssuerKeySource::new(rules.jwks.clone())?);
            Ok(TokenGate { source, rules, code_flow, device_client })
        };
        let tokens = config.tokens.map(token_gate).transpose()?;
        tokens.iter().for_each(TokenGate::refresh_beside);
        let seal =
            SessionSeal::new(config.session_key).map_err(|_| anyhow::anyhow!("this machine gives no random bytes"))?;
        Ok(LoginGate { keys: keys.map(UnpoisonedMutex::new), tokens, clients: config.clients, seal })
    }

    /// Who sent a key or token.
    pub(crate) async fn bearer(&self, presented: &str) -> Result<LoginIdentity, LoginRefusal> {
        if presented.starts_with(PREFIX) {
            let known = self.keys.as_ref().and_then(|keys| keys.lock().keys().identity(presented, SystemTime::now()));
            return known.ok_or_else(|| LoginRefusal::of("unknown or expired key"));
        }
        match &self.tokens {
            Some(tokens) => Ok(tokens.identity(presented).await?),
            None => Err(LoginRefusal::of("no tokens are taken")),
        }
    }

    /// How people can log in.
    pub(crate) fn ways(&self) -> LoginWays {
        let Some(TokenGate { rules, code_flow, device_client, .. }) = &self.tokens else { return LoginWays::default() };
        LoginWays {
            issuer: Some(rules.issuer.clone()),
            audience: Some(rules.audience.clone()),
            has_code_flow: code_flow.is_some(),
            device_client: device_client.clone(),
        }
    }

    /// Where the issuer takes logins, and what the browser keeps until it comes back.
    pub(crate) async fn begin_code_flow(&self, next: Option<&str>) -> Result<(Url, String), LoginRefusal> {
        let (_, flow) = self.code_flow()?;
        flow.begin(&self.seal, next).await
    }

    /// Who has come back from the issuer.
    pub(crate) async fn end_code_flow(&self, cookie: &str, answer: CodeAnswer) -> Result<EndedLogin, LoginRefusal> {
        let (tokens, flow) = self.code_flow()?;
        flow.end(&self.seal, &tokens.source, cookie, answer).await
    }

    fn code_flow(&self) -> Result<(&TokenGate, &CodeFlow), LoginRefusal> {
        let tokens = self.tokens.as_ref();
        tokens.and_then(|gate| Some((gate, gate.code_flow.as_ref()?))).ok_or_else(|| LoginRefusal::of("no code flow"))
    }

    /// Who has shown a certificate with these names, which TLS has verified.
    pub(crate) fn certificate(&self, names: &[String]) -> Result<LoginIdentity, LoginRefusal> {
        let known = names.iter().filter_map(|name| Some((name, *self.clients.get(name)?)));
        let (name, grant) = known
            .reduce(|(name, one), (_, other)| (name, one.or(other)))
            .ok_or_else(|| LoginRefusal::of("certificate without a role"))?;
        let proof = LoginProof::Certificate { name: name.clone() };
        Ok(LoginIdentity { subject: format!("cert:{name}"), grant, proof, expires: None })
    }

    /// Who a session is of. A session of a static key ends when the key is removed.
    pub(crate) fn session(&self, cookie: &str) -> Result<SessionContent, LoginRefusal> {
        let now = SystemTime::now();
        let content = self.seal.open(cookie, now).ok_or_else(|| LoginRefusal::of("unknown or ended session"))?;
        let stands = match &content.identity.proof {
            LoginProof::Token { .. } | LoginProof::Certificate { .. } => true,
            LoginProof::Key { id, hash } => self.has_key(id, hash, now),
        };
        if stands { Ok(content) } else { Err(LoginRefusal::of("unknown or expired key")) }
    }

    fn has_key(&self, id: &str, hash: &[u8; 32], now: SystemTime) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.lock().keys().identity_of(id, hash, now).is_some())
    }

    /// The cookie of a new session; `None`: the process has no random bytes.
    pub(crate) fn begin_session(&self, identity: LoginIdentity) -> Option<String> {
        self.seal.seal(identity, SystemTime::now()).ok().map(|(cookie, _)| cookie)
    }
}
