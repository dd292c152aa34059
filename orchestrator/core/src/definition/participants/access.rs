//! How a participant knows the engine, and the engine a participant.

use super::SecretText;

pub use crate::definition::terms::CredentialPlace;

/// What the `Authorization` header of every request is made of (HTTP).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizationConfig {
    /// Its value.
    Header(SecretText),
    /// A bearer token that the engine gets.
    ClientCredentials(ClientCredentials),
}

/// The client credentials grant: RFC 6749, section 4.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    /// `tokenUrl:` where tokens are issued.
    pub token_url: String,
    /// `clientId:` who asks for them.
    pub client_id: String,
    /// `clientSecret:` the client's secret.
    pub client_secret: SecretText,
    /// `scope:` what they shall allow; `None`: what the issuer gives.
    pub scope: Option<String>,
    /// `audience:` whom they shall be for; `None`: the issuer decides.
    pub audience: Option<String>,
    /// `secretIn:` where the secret is sent.
    pub secret_in: CredentialPlace,
}

/// `tls:` how connections to the participant are secured (HTTP). All texts are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// `certificate:` and `key:` what the engine shows; `None`: nothing.
    pub identity: Option<ClientIdentity>,
    /// `ca:` from which authorities the participant's certificate may be; `None`: those of the machine.
    pub ca: Option<String>,
    /// `serverName:` the name that the participant's certificate has; `None`: the host of the URL.
    pub server_name: Option<String>,
}

/// A client certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate and its chain.
    pub certificate: String,
    /// The private key.
    pub key: SecretText,
}
