//! Every key of the configuration, with what the page docs/configuration.md says of it. The page's table is made from
//! this list.

/// What holds where a key is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyDefault {
    /// Nothing: what the key is for is not there.
    None,
    /// As if it were set to this.
    Value(&'static str),
    /// In words.
    Said(&'static str),
}

/// How a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyForm {
    /// One value, also in the environment.
    Value,
    /// A map in the file, with names that the operator chooses.
    Map,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConfigKey {
    /// Its path in the file, with dots.
    pub(super) name: &'static str,
    pub(super) form: KeyForm,
    pub(super) default: KeyDefault,
    /// The flag of `saga serve`.
    pub(super) flag: Option<&'static str>,
    /// What it means, in Markdown; links are relative to `docs`.
    pub(super) meaning: &'static str,
}

impl ConfigKey {
    const fn of(name: &'static str, default: KeyDefault, meaning: &'static str) -> ConfigKey {
        ConfigKey { name, form: KeyForm::Value, default, flag: None, meaning }
    }

    const fn map(name: &'static str, meaning: &'static str) -> ConfigKey {
        ConfigKey { name, form: KeyForm::Map, default: KeyDefault::None, flag: None, meaning }
    }

    const fn with_flag(self, flag: &'static str) -> ConfigKey {
        ConfigKey { flag: Some(flag), ..self }
    }
}

/// The names of keys that have one value.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(|key| key.form == KeyForm::Value).map(|key| key.name)
}

/// The variable that sets a key: `SAGA_API_LISTEN` for `api.listen`.
pub(super) fn variable(key: &str) -> String {
    let mut name = String::from("SAGA_");
    for character in key.chars() {
        match character {
            '.' => name.push('_'),
            upper if upper.is_ascii_uppercase() => {
                name.push('_');
                name.push(upper);
            }
            lower => name.push(lower.to_ascii_uppercase()),
        }
    }
    name
}

/// All keys, in the order of the page.
pub(super) const KEYS: &[ConfigKey] = &[
    ConfigKey::of(
        "kafka.bootstrapServers",
        KeyDefault::Value("localhost:9092"),
        "`host:port`, several separated by commas",
    )
    .with_flag("--bootstrap-servers"),
    ConfigKey::of(
        "kafka.group",
        KeyDefault::Value("saga-orchestrator"),
        "consumer group of triggers and replies. The group `<group>.shards` reads the inbox; in the \
         group `<group>.store`, which has no members, engines keep [what the database \
         has](operations.md#a-database-that-lost-commits). The engine refuses a name that ends in \
         `.shards` or `.store` or contains `.catch-up.`: such a group belongs to another installation",
    ),
    ConfigKey::of(
        "kafka.instanceId",
        KeyDefault::None,
        "`group.instance.id`, for static membership; different for each engine",
    ),
    ConfigKey::map(
        "kafka.properties",
        "passed to librdkafka unchanged. `${ env.NAME }` reads the environment; a variable that is not \
         set is an error",
    ),
    ConfigKey::of(
        "store",
        KeyDefault::Value("postgres://saga:saga@localhost:5432/saga"),
        "`postgres://user:password@host:port/database`, or `sqlite:./file.db` for one engine. The \
         database is UTF-8, the server the primary, a pooler [in session \
         mode](operations.md#the-database)",
    )
    .with_flag("--store"),
    ConfigKey::of(
        "store.encryption.key",
        KeyDefault::None,
        "place of the key that [encrypts](encryption.md) what new sagas carry: `env:NAME` or \
         `file:PATH`, with 32 random bytes in base64. In a file with this key, the address of the store \
         is `store.address`",
    ),
    ConfigKey::of(
        "store.encryption.previous",
        KeyDefault::None,
        "places of keys that data is read with and nothing new is encrypted with: a list, or separated \
         by commas",
    ),
    ConfigKey::of("sagas", KeyDefault::Value("./sagas"), "folder of `*.saga.yaml` and `participants.yaml`")
        .with_flag("--sagas"),
    ConfigKey::of(
        "schemas",
        KeyDefault::Value("./schemas"),
        "folder of `*.avsc` and `*.schema.json`; a folder that does not exist has no schemas",
    ),
    ConfigKey::of(
        "schemaRegistry.url",
        KeyDefault::None,
        "addresses of the [registry of the schemas](schemas.md#turn-it-on) of records in Avro, with \
         Confluent's API: a list, or separated by commas. Each is tried where the one before it fails",
    ),
    ConfigKey::of("schemaRegistry.user", KeyDefault::None, "user of the registry, or API key"),
    ConfigKey::of(
        "schemaRegistry.password",
        KeyDefault::None,
        "place of the user's password: `env:NAME` or `file:PATH`",
    ),
    ConfigKey::of("schemaRegistry.token", KeyDefault::None, "place of a bearer token, instead of user and password"),
    ConfigKey::of("topics.inbox", KeyDefault::Value("saga.inbox"), "one partition per shard"),
    ConfigKey::of("topics.replies", KeyDefault::Value("saga.replies"), "where participants reply to"),
    ConfigKey::of(
        "topics.dlq",
        KeyDefault::Value("saga.dlq"),
        "the dead letter topic, for poison messages. The topics must differ",
    ),
    ConfigKey::map(
        "topics.dlqOf",
        "the [dead letter topic of single \
         topics](dead-letters.md#a-topic-for-the-letters-of-one-topic): `shop.orders: shop.orders.dlq`. \
         Dead letters of all others go to `topics.dlq`",
    ),
    ConfigKey::of(
        "topics.events",
        KeyDefault::None,
        "[a topic that gets all events of all sagas](feed.md#the-topic-of-all-events), for other \
         systems. Without the key there is none",
    ),
    ConfigKey::of(
        "topics.eventsFrom",
        KeyDefault::Value("newest"),
        "where that topic begins when it is named for the first time: `newest`, with the first event \
         after the start, or `oldest`, with the oldest event of the feed",
    ),
    ConfigKey::map(
        "topics.formats",
        "[the one format](schemas.md#one-format-for-a-topic) of the records of a topic: `shop.orders: \
         avro`, `json`, or a map with more",
    ),
    ConfigKey::of("shards", KeyDefault::Value("64"), "1 to 4096; fixed when the store is created"),
    ConfigKey::of(
        "api.listen",
        KeyDefault::Value("127.0.0.1:8080"),
        "address of the API and the web UI. One that others can reach needs a [login](security.md), or \
         `api.insecure`",
    )
    .with_flag("--listen"),
    ConfigKey::of(
        "api.insecure",
        KeyDefault::Value("false"),
        "whether everybody who reaches the API may act, without a login",
    )
    .with_flag("--insecure"),
    ConfigKey::of(
        "api.tls.certificate",
        KeyDefault::None,
        "PEM file of the certificate by which the API speaks [TLS](security.md#tls)",
    ),
    ConfigKey::of("api.tls.key", KeyDefault::None, "PEM file of its key"),
    ConfigKey::of(
        "api.tls.clientCa",
        KeyDefault::None,
        "PEM file of who signs [certificates of clients](security.md#certificates)",
    ),
    ConfigKey::map(
        "api.tls.clients",
        "what a URI or DNS name in such a certificate allows: `viewer`, `operator`, `admin`, or `{role: \
         ROLE, payloads: true}`",
    ),
    ConfigKey::of("api.auth.keys", KeyDefault::None, "file of [API keys](security.md#keys)"),
    ConfigKey::of("api.auth.issuer", KeyDefault::None, "issuer of [tokens](security.md#tokens), as their `iss` has it"),
    ConfigKey::of("api.auth.audience", KeyDefault::None, "whom tokens have to be for: one of their `aud`"),
    ConfigKey::of("api.auth.jwks", KeyDefault::None, "where the issuer has its keys: `https://…`"),
    ConfigKey::of(
        "api.auth.rolesClaim",
        KeyDefault::Value("roles"),
        "the claim with the roles, as a path: `realm_access.roles`",
    ),
    ConfigKey::map(
        "api.auth.roles",
        "what a value of this claim allows: `viewer`, `operator`, `admin`, or `{role: ROLE, payloads: \
         true}`",
    ),
    ConfigKey::of(
        "api.auth.skewSeconds",
        KeyDefault::Value("60"),
        "by how much the issuer's clock may differ, 0 to 300",
    ),
    ConfigKey::of(
        "api.auth.pages.client",
        KeyDefault::None,
        "client as which the pages log in [at the issuer](security.md#the-issuers-own-page)",
    ),
    ConfigKey::of(
        "api.auth.pages.secret",
        KeyDefault::None,
        "place of its secret: `env:NAME` or `file:PATH`. Without it the client is public",
    ),
    ConfigKey::of(
        "api.auth.pages.callback",
        KeyDefault::None,
        "where browsers come back to: `https://HOST/login/callback`",
    ),
    ConfigKey::of(
        "api.auth.deviceClient",
        KeyDefault::None,
        "client as which [`saga login`](security.md#commands) logs in",
    ),
    ConfigKey::of("api.auth.openMetrics", KeyDefault::Value("false"), "whether `/metrics` needs no login"),
    ConfigKey::of(
        "api.auth.sessionKey",
        KeyDefault::Said("a key of the process"),
        "place of the key that seals [sessions](security.md#browsers): `env:NAME` or `file:PATH`, with \
         32 random bytes in base64",
    ),
    ConfigKey::of(
        "clock.maxSkewSeconds",
        KeyDefault::Value("60"),
        "maximum difference between this machine's clock and the event store's. Beyond it the engine \
         claims no shard, and reports that in its log and in readiness; from a second on it warns",
    ),
    ConfigKey::of(
        "archive.folder",
        KeyDefault::None,
        "folder of the [archive files](operations.md#retention). Definitions with `retention` to an \
         archive need it: without it the engine does not start. All engines of an installation need the \
         same folder",
    ),
    ConfigKey::of(
        "deadLetters.headers",
        KeyDefault::Value("saga"),
        "in which [dialects](dead-letters.md#headers-for-other-programs) dead letters have headers: \
         `saga`, `spring`, `kafkaConnect`; a list, or separated by commas. `saga` is always among them",
    ),
    ConfigKey::of(
        "deadLetters.keep",
        KeyDefault::Value("30d"),
        "how long the row of a dead letter that was redriven or discarded stays in [the \
         table](dead-letters.md#the-table), and one whose record the topic no longer has; from 1h to \
         3660d",
    ),
    ConfigKey::of(
        "traces.slow",
        KeyDefault::Value("1m"),
        "a saga that takes at least so long is in the [traces](tracing.md#which-sagas) whatever the \
         sampling says; `off`: none is for that",
    ),
    ConfigKey::of(
        "telemetry.slowOperation",
        KeyDefault::Value("1s"),
        "from which duration on a commit, a call or a read of a journal is slow: it is counted \
         (`saga_slow_operations_total`), and `/monitoring/performance` lists the last 100; from 1ms to \
         1h",
    ),
    ConfigKey::of(
        "telemetry.buckets",
        KeyDefault::Value("default"),
        "upper bounds of the buckets of all histograms of durations, at most 30 times that grow, like \
         `5ms, 50ms, 500ms, 5s`; `default`: each [metric](metrics.md) has its own",
    ),
    ConfigKey::of(
        "outbound.allow",
        KeyDefault::Said("everything"),
        "[where participants may be](participants-reference.md#where-participants-may-be): hosts \
         (`payments.example.com`, `*.example.com`), addresses and networks (`10.0.0.0/8`); a list, or \
         separated by commas",
    ),
    ConfigKey::of(
        "outbound.allowReserved",
        KeyDefault::None,
        "reserved addresses (link-local, cloud metadata, multicast) that may be called all the same: \
         addresses and networks",
    ),
    ConfigKey::of(
        "archive.partition",
        KeyDefault::Value("7d"),
        "period of starts that one [partition](operations.md#partitions) of the tables has, from 1d to \
         366d. A change holds for partitions that are created later",
    ),
];

#[cfg(test)]
mod tests;
