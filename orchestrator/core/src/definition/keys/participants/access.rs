//! The keys of how a participant knows the engine, and the engine a participant.

use super::super::{MapSchema, ValueRule, key, required};
use crate::definition::participants::CredentialPlace;

pub(crate) static AUTHORIZATION: MapSchema = MapSchema {
    name: "`authorization`",
    title: "Authorization",
    keys: &[
        key(
            "bearer",
            ValueRule::Text,
            "A bearer token. `${ env.NAME }` and `${ file.PATH }` are allowed in it. Either this or \
                `clientCredentials`.",
            "",
            "\"${ file./run/secrets/payments-token }\"",
        ),
        key(
            "clientCredentials",
            ValueRule::Shape(&CLIENT_CREDENTIALS),
            "The engine gets bearer tokens by the client credentials grant of OAuth 2.0. Either this or `bearer`.",
            "",
            "{\"tokenUrl\": \"https://login.example.com/oauth/token\", \"clientId\": \"saga\", \"clientSecret\": \
                \"${ env.PAYMENTS_SECRET }\"}",
        ),
    ],
};

pub(crate) static CLIENT_CREDENTIALS: MapSchema = MapSchema {
    name: "`clientCredentials`",
    title: "Client credentials",
    keys: &[
        required("tokenUrl", ValueRule::Url, "Where tokens are issued.", "\"https://login.example.com/oauth/token\""),
        required("clientId", ValueRule::Text, "Who asks for them. `${ env.NAME }` is allowed in it.", "\"saga\""),
        required(
            "clientSecret",
            ValueRule::Text,
            "The secret of the client: `${ env.NAME }` or `${ file.PATH }`.",
            "\"${ env.PAYMENTS_SECRET }\"",
        ),
        key("scope", ValueRule::Text, "What the tokens shall allow, separated by spaces.", "", "\"payments.write\""),
        key("audience", ValueRule::Text, "Whom the tokens shall be for.", "", "\"https://payments.example.com\""),
        key(
            "secretIn",
            ValueRule::Choice(CredentialPlace::NAMES),
            "Where the secret of the client is sent: in the header `Authorization`, or in the body for servers that \
                take it only there.",
            "\"header\"",
            "\"body\"",
        ),
    ],
};

pub(crate) static TLS: MapSchema = MapSchema {
    name: "`tls`",
    title: "TLS",
    keys: &[
        key(
            "certificate",
            ValueRule::Text,
            "Client certificate and its chain in PEM, for mutual TLS; with `key`.",
            "",
            "\"${ file./etc/saga/tls/client.crt }\"",
        ),
        key(
            "key",
            ValueRule::Text,
            "Private key of the client certificate in PEM.",
            "",
            "\"${ file./etc/saga/tls/client.key }\"",
        ),
        key(
            "ca",
            ValueRule::Text,
            "Certificates in PEM of the authorities that the participant's certificate may be from. Without it: those \
                of the machine.",
            "",
            "\"${ file./etc/saga/tls/ca.crt }\"",
        ),
        key(
            "serverName",
            ValueRule::Text,
            "The name that the participant's certificate has to have. Without it: the host of the URL.",
            "",
            "\"payments.internal\"",
        ),
    ],
};
