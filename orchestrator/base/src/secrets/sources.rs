//! Which values of a configuration are secrets.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use saga_core::definition::{
    ParticipantCatalog,
    participants::{AuthorizationConfig, ClientCredentials, HealthCheckMethod, ParticipantConfig, TransportConfig},
};

/// Headers whose values say what is wanted, and not who wants it.
const HARMLESS_HEADERS: [&str; 9] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "host",
    "prefer",
    "user-agent",
];

/// `Authorization`, headers, and credentials in addresses.
#[must_use]
pub fn of_participants(participants: &ParticipantCatalog) -> Vec<String> {
    participants.iter().flat_map(|(_, participant)| of_participant(participant)).collect()
}

fn of_participant(participant: &ParticipantConfig) -> Vec<String> {
    let authorization = participant.authorization.iter().flat_map(|authorization| match authorization {
        AuthorizationConfig::Header(secret) => of_authorization(secret.reveal()),
        AuthorizationConfig::ClientCredentials(client) => of_client(client),
    });
    let identity = participant.tls.iter().filter_map(|tls| tls.identity.as_ref());
    let keys = identity.map(|identity| identity.key.reveal().to_owned());
    let is_secret = |name: &str| !HARMLESS_HEADERS.contains(&name.to_ascii_lowercase().as_str());
    let headers = participant.headers.iter().filter(|(name, _)| is_secret(name));
    // A header of another name can hold the same kinds of values.
    let headers = headers.flat_map(|(_, secret)| of_authorization(secret.reveal()));
    let urls = addresses(participant).into_iter().flat_map(of_url);
    authorization.chain(keys).chain(headers).chain(urls).collect()
}

/// The secret, and the pair as it is sent.
fn of_client(client: &ClientCredentials) -> Vec<String> {
    let secret = client.client_secret.reveal();
    let pair = format!("{}:{secret}", client.client_id);
    let urls = of_url(&client.token_url);
    [secret.to_owned(), pair].into_iter().chain(urls).collect()
}

fn addresses(participant: &ParticipantConfig) -> Vec<&str> {
    let endpoints = match &participant.transport {
        TransportConfig::Http { endpoints, .. } => endpoints.iter().map(|endpoint| endpoint.url.as_str()).collect(),
        TransportConfig::Kafka { .. } => Vec::new(),
    };
    let health = match participant.health.as_ref().map(|health| &health.check) {
        Some(HealthCheckMethod::Path(text) | HealthCheckMethod::Url(text)) => Some(text.as_str()),
        Some(HealthCheckMethod::Connect) | None => None,
    };
    endpoints.into_iter().chain(health).collect()
}

/// `Bearer TOKEN`: both, and the token alone. `Basic …`: what is encoded, too, and the password in it.
fn of_authorization(value: &str) -> Vec<String> {
    let value = value.trim();
    let Some((scheme, token)) = value.split_once(' ') else { return vec![value.to_owned()] };
    let mut secrets = vec![value.to_owned(), token.trim().to_owned()];
    if scheme.eq_ignore_ascii_case("basic")
        && let Some(pair) = STANDARD.decode(token.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok())
    {
        secrets.extend(pair.split_once(':').map(|(_, password)| password.to_owned()));
        secrets.push(pair);
    }
    secrets
}

/// Password, pair of user and password, and values of parameters whose names are those of secrets; decoded, too.
#[must_use]
pub fn of_url(url: &str) -> Vec<String> {
    let Some((_, rest)) = url.split_once("://") else { return of_query(url) };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    // A password may hold a slash that the user did not encode.
    let pair = authority.rsplit_once('@').or_else(|| rest.rsplit_once('@')).map(|(pair, _)| pair);
    let password = pair.and_then(|pair| pair.split_once(':')).map(|(_, password)| password);
    let credentials = pair.filter(|_| password.is_some()).into_iter().chain(password).flat_map(both);
    credentials.chain(of_query(rest)).collect()
}

fn of_query(url: &str) -> Vec<String> {
    let Some((_, query)) = url.split_once('?') else { return Vec::new() };
    let is_secret = |name: &str| {
        ["password", "passwd", "secret", "token", "key", "auth", "sig"]
            .iter()
            .any(|part| name.to_ascii_lowercase().contains(part))
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| is_secret(name)).flat_map(|(_, value)| both(value)).collect()
}

fn both(text: &str) -> Vec<String> {
    vec![text.to_owned(), percent_decode_str(text).decode_utf8_lossy().into_owned()]
}
