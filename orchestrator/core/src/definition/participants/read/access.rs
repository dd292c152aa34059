//! `authorization` and `tls`.

use super::{ParticipantReader, SecretText};
use crate::definition::{
    diagnostic::Code,
    fields::MapReader,
    keys::{AUTHORIZATION, CLIENT_CREDENTIALS, TLS},
    participants::{
        AuthorizationConfig, ClientCredentials, ClientIdentity, CredentialPlace, TlsConfig, TransportConfig,
    },
    spanned::SpannedValue,
    tree::{YamlNode, YamlValue},
};

/// How a text in PEM begins.
const PEM: &str = "-----BEGIN ";

impl ParticipantReader<'_> {
    pub(super) fn authorization(&mut self, fields: &MapReader<'_>) -> Option<AuthorizationConfig> {
        let node = fields.node("authorization")?;
        if !matches!(node.value, YamlValue::Map(_)) {
            let text = fields.text("authorization", &mut self.report)?;
            self.warn_of_literal(&text);
            return Some(AuthorizationConfig::Header(self.secret(&text)));
        }
        let fields = MapReader::read(node, &AUTHORIZATION, &mut self.report)?;
        match (fields.name("bearer", &mut self.report), fields.node("clientCredentials")) {
            (Some(token), None) => {
                self.warn_of_literal(&token);
                let SecretText(token) = self.secret(&token);
                Some(AuthorizationConfig::Header(SecretText(format!("Bearer {token}"))))
            }
            (None, Some(node)) => self.client_credentials(node).map(AuthorizationConfig::ClientCredentials),
            (None, None) => {
                let help = "write bearer: \"${ file./run/secrets/token }\", or clientCredentials: {tokenUrl: …}";
                let message = "`authorization` needs `bearer` or `clientCredentials`";
                self.report.error(Code::MissingKey, fields.span, message).help(help);
                None
            }
            (Some(_), Some(node)) => {
                let message = "`authorization` has either `bearer` or `clientCredentials`";
                self.report.error(Code::ConflictingKeys, node.span, message).help("keep one of them");
                None
            }
        }
    }

    fn client_credentials(&mut self, node: &YamlNode) -> Option<ClientCredentials> {
        let fields = MapReader::read(node, &CLIENT_CREDENTIALS, &mut self.report)?;
        let token_url = fields.name("tokenUrl", &mut self.report);
        let client_id = fields.name("clientId", &mut self.report);
        let client_secret = fields.name("clientSecret", &mut self.report);
        let secret_in = fields.choice("secretIn", CredentialPlace::NAMES, &mut self.report);
        let (scope, audience) = (fields.name("scope", &mut self.report), fields.name("audience", &mut self.report));
        client_secret.iter().for_each(|secret| self.warn_of_literal(secret));
        Some(ClientCredentials {
            token_url: token_url.and_then(|url| self.page_url(&url))?,
            client_id: client_id.map(|id| self.expand(&id))?,
            client_secret: client_secret.map(|secret| self.secret(&secret))?,
            scope: scope.map(|it| it.value),
            audience: audience.map(|it| it.value),
            secret_in: secret_in.and_then(CredentialPlace::parse).unwrap_or_default(),
        })
    }

    pub(super) fn tls(&mut self, fields: &MapReader<'_>, transport: Option<&TransportConfig>) -> Option<TlsConfig> {
        let node = fields.node("tls")?;
        let span = fields.key_span("tls").unwrap_or(node.span);
        match transport {
            Some(TransportConfig::Kafka { .. }) => {
                let message = "`tls` is only for HTTP, but this participant is called over Kafka";
                self.report
                    .error(Code::ConflictingKeys, span, message)
                    .help("remove it, and write security.protocol and ssl.* into kafka.properties of config.yaml");
            }
            Some(TransportConfig::Http { endpoints, .. }) if endpoints.iter().all(|it| it.url.starts_with("http:")) => {
                let message = "`tls` has no effect: no URL of this participant begins with https://";
                self.report.error(Code::ConflictingKeys, span, message).help("write https:// in its URLs");
            }
            Some(TransportConfig::Http { .. }) | None => {}
        }
        let fields = MapReader::read(node, &TLS, &mut self.report)?;
        Some(TlsConfig {
            identity: self.identity(&fields),
            ca: fields.name("ca", &mut self.report).map(|ca| self.pem(&ca)),
            server_name: fields.name("serverName", &mut self.report).map(|name| self.expand(&name)),
        })
    }

    fn identity(&mut self, fields: &MapReader<'_>) -> Option<ClientIdentity> {
        let (certificate, key) = (fields.name("certificate", &mut self.report), fields.name("key", &mut self.report));
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                self.warn_of_literal(&key);
                Some(ClientIdentity { certificate: self.pem(&certificate), key: SecretText(self.pem(&key)) })
            }
            (None, None) => None,
            (Some(alone), None) | (None, Some(alone)) => {
                let message = "a client certificate is a `certificate` with its `key`";
                self.report.error(Code::MissingKey, alone.span, message).help("write both, or none");
                None
            }
        }
    }

    /// A text in PEM, or an empty one where a variable may be missing.
    fn pem(&mut self, text: &SpannedValue<String>) -> String {
        let Some(value) = self.expanded(text) else { return String::new() };
        if !value.contains(PEM) {
            let help = if text.value.contains("${") {
                format!("the file has to contain `{PEM}…`")
            } else {
                // Who writes a path means the file.
                format!("write ${{ file.{} }}", text.value.trim())
            };
            self.report.error(Code::WrongValue, text.span, "this is not a text in PEM").help(help);
        }
        value
    }

    /// A file with a secret in it gets into repositories, backups and chats.
    pub(super) fn warn_of_literal(&mut self, text: &SpannedValue<String>) {
        if text.value.contains("${") || text.value.trim().is_empty() {
            return;
        }
        let message = "a secret stands in the file itself";
        let help = "write ${ env.NAME } or ${ file.PATH } in its place; a file is read again when it changes";
        self.report.warning(Code::LiteralSecret, text.span, message).help(help);
    }
}
