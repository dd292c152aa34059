//! Reading participants.yaml.

mod access;
mod address;
mod failures;
mod guards;
mod health;
mod relations;
mod texts;
mod traffic;
mod transport;

pub(in crate::definition) use texts::own_headers;

use super::{
    AcceptedMeaning, BULKHEAD_WAIT, BulkheadConfig, CONNECTION_MAX_AGE, DegradationConfig, EndpointConfig,
    FailureHandling, FailurePattern, HealthCheckConfig, HealthCheckMethod, IDLE_TIMEOUT, IdempotencyKeyFormat,
    IntegrationKind, MAX_ANSWER_BYTES, MissingVariablePolicy, ParsedParticipants, ParticipantCatalog,
    ParticipantConfig, SecretText, StatusPattern, TransportConfig, kind::ParticipantDefaults,
};
use crate::{
    definition::{
        covered::with_secrets_covered,
        diagnostic::{CheckFinding, Code, FindingCollector, TextSpan},
        fields::{MapReader, wrong},
        keys::{PARTICIPANT, PARTICIPANTS},
        policies, target,
        tree::{self, YamlNode, YamlValue},
    },
    policy::{RetryPolicy, RetryRule},
};
use relations::DependencyMap;
use std::{collections::BTreeMap, time::Duration};

/// Most participants: each keeps connections and guards.
const MAX_PARTICIPANTS: usize = 500;

/// Timeouts that are of HTTP: over Kafka the connection is the broker's, and there is only the attempt as a whole.
const TIMEOUTS_OF_HTTP: [&str; 5] =
    ["connectTimeout", "idleTimeout", "connectionMaxAge", "readTimeout", "writeTimeout"];

struct ParticipantReader<'e> {
    report: FindingCollector,
    env: &'e dyn Fn(&str) -> Option<String>,
    needs: DependencyMap,
    missing: MissingVariablePolicy,
}

pub(super) fn read(
    file: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    missing: MissingVariablePolicy,
) -> Result<ParsedParticipants, Vec<CheckFinding>> {
    let mut reader = ParticipantReader {
        report: FindingCollector::with_excerpt(file, text, &with_secrets_covered(text)),
        env,
        needs: DependencyMap::new(),
        missing,
    };
    let participants = tree::read(&mut reader.report).map(|root| reader.file(&root));
    let refused = reader.report.has_errors();
    let findings = reader.report.into_findings();
    match participants {
        Some(participants) if !refused => Ok(ParsedParticipants { participants, warnings: findings }),
        Some(_) | None => Err(findings),
    }
}

impl ParticipantReader<'_> {
    fn file(&mut self, root: &YamlNode) -> ParticipantCatalog {
        let Some(fields) = MapReader::read(root, &PARTICIPANTS, &mut self.report) else {
            return ParticipantCatalog::default();
        };
        let Some(node) = fields.node("participants") else { return ParticipantCatalog::default() };
        let YamlValue::Map(entries) = &node.value else {
            wrong(&mut self.report, node, "`participants` must be a map of names")
                .help("write name: {http: {url: …}} below it");
            return ParticipantCatalog::default();
        };
        if entries.len() > MAX_PARTICIPANTS {
            let message = format!("{} participants; at most {MAX_PARTICIPANTS} are possible", entries.len());
            self.report.error(Code::TooLarge, entries[MAX_PARTICIPANTS].0.span, message);
        }
        let mut by_name = BTreeMap::new();
        for (key, node) in entries {
            if !target::is_name(&key.text) {
                let message = format!("`{}` cannot be the name of a participant", key.text);
                self.report
                    .error(Code::BadName, key.span, message)
                    .help("letters from a to z, digits, `-`, `_` and `.`, a letter first");
            }
            // The name is known even if the entry cannot be read: a participant that needs it is not wrong as well.
            self.needs.insert(key.text.clone(), Vec::new());
            by_name.extend(self.participant(&key.text, key.span, node).map(|it| (key.text.clone(), it)));
        }
        relations::check(&self.needs, &mut self.report);
        ParticipantCatalog { by_name }
    }

    fn participant(&mut self, name: &str, span: TextSpan, node: &YamlNode) -> Option<ParticipantConfig> {
        let fields = MapReader::read(node, &PARTICIPANT, &mut self.report)?;
        let transport = self.transport(span, &fields);
        let kind = fields.choice("kind", IntegrationKind::NAMES, &mut self.report).and_then(IntegrationKind::parse);
        let usual = ParticipantDefaults::of(kind, transport.as_ref());
        self.refuse_timeouts_of_http(&fields, transport.as_ref());
        let errors = self.errors(&fields, transport.as_ref());
        let needed = self.depends_on(&fields);
        let depends_on = needed.iter().map(|name| name.value.clone()).collect();
        self.needs.insert(name.to_owned(), needed);
        Some(ParticipantConfig {
            description: fields.text("description", &mut self.report).map(|text| text.value),
            kind,
            timeout: self.timeout(&fields, "timeout").unwrap_or(usual.timeout),
            connect_timeout: self.timeout(&fields, "connectTimeout").unwrap_or(usual.connect_timeout),
            idle_timeout: self.timeout(&fields, "idleTimeout").unwrap_or(IDLE_TIMEOUT),
            connection_max_age: self.timeout(&fields, "connectionMaxAge").unwrap_or(CONNECTION_MAX_AGE),
            read_timeout: self.timeout(&fields, "readTimeout").or(usual.read_timeout),
            write_timeout: self.timeout(&fields, "writeTimeout").or(usual.write_timeout),
            retry: self.retry(&fields, usual.retry),
            breaker: self.breaker(&fields, usual.breaker),
            bulkhead: self.bulkhead(&fields, usual.bulkhead, transport.as_ref()),
            rate_limit: self.rate_limit(&fields),
            retry_budget: self.retry_budget(&fields),
            degraded: self.degraded(&fields),
            health: self.health(&fields, transport.as_ref(), usual.health),
            capabilities: self.capabilities(&fields),
            depends_on,
            classes: errors.classes,
            handling: errors.handling,
            retry_on: self.statuses(&fields, "retryOn"),
            fail_on: self.statuses(&fields, "failOn"),
            accepted: self.accepted(&fields, transport.as_ref()),
            idempotency_key: self.idempotency_key(&fields, transport.as_ref()),
            max_answer_bytes: fields.integer("maxAnswerBytes", 1, &mut self.report).unwrap_or(MAX_ANSWER_BYTES),
            headers: self.headers(&fields),
            authorization: self.authorization(&fields),
            tls: self.tls(&fields, transport.as_ref()),
            transport: transport?,
        })
    }

    fn timeout(&mut self, fields: &MapReader<'_>, key: &str) -> Option<Duration> {
        fields.duration(key, &mut self.report)
    }

    fn accepted(&mut self, fields: &MapReader<'_>, transport: Option<&TransportConfig>) -> AcceptedMeaning {
        let said = fields.choice("accepted", AcceptedMeaning::NAMES, &mut self.report).and_then(AcceptedMeaning::parse);
        if let (Some(TransportConfig::Kafka { .. }), Some(span)) = (transport, fields.key_span("accepted")) {
            let message = "`accepted` is only for HTTP, but this participant is called over Kafka";
            self.report
                .error(Code::ConflictingKeys, span, message)
                .help("remove it: a reply says `succeeded`, `failed` or `ongoing`");
        }
        said.unwrap_or_default()
    }

    fn idempotency_key(&mut self, fields: &MapReader<'_>, transport: Option<&TransportConfig>) -> IdempotencyKeyFormat {
        let said = fields
            .choice("idempotencyKey", IdempotencyKeyFormat::NAMES, &mut self.report)
            .and_then(IdempotencyKeyFormat::parse);
        if let (Some(TransportConfig::Kafka { .. }), Some(span)) = (transport, fields.key_span("idempotencyKey")) {
            let message = "`idempotencyKey` is only for HTTP, but this participant is called over Kafka";
            self.report.error(Code::ConflictingKeys, span, message).help("remove it: a record has the command id");
        }
        said.unwrap_or_default()
    }

    fn refuse_timeouts_of_http(&mut self, fields: &MapReader<'_>, transport: Option<&TransportConfig>) {
        if !matches!(transport, Some(TransportConfig::Kafka { .. })) {
            return;
        }
        for key in TIMEOUTS_OF_HTTP {
            let Some(span) = fields.key_span(key) else { continue };
            let message = format!("`{key}` is only for HTTP, but this participant is called over Kafka");
            self.report
                .error(Code::ConflictingKeys, span, message)
                .help("remove it: `timeout` is for the whole attempt, until the reply");
        }
    }

    /// What the participant says, over what its kind says. A kind does not limit what follows the pivot: there a saga
    /// only goes forward.
    fn retry(&mut self, fields: &MapReader<'_>, usual: Option<RetryPolicy>) -> Option<RetryRule> {
        let said = fields.node("retry");
        let base = usual.clone().unwrap_or_else(RetryPolicy::standard);
        match said {
            Some(node) => policies::retry(node, &base, &mut self.report),
            None => usual.map(|policy| RetryRule { policy, says_attempts: false }),
        }
    }
}
