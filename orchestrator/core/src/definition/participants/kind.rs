//! The kinds of integration, and what each says where a participant says nothing.

use super::{BULKHEAD, CONNECT_TIMEOUT, HTTP_TIMEOUT, KAFKA_BULKHEAD, KAFKA_TIMEOUT, TransportConfig};
use crate::{definition::terms::IntegrationKind, policy::RetryPolicy};
use saga_guards::{
    breaker, health,
    retry::{AttemptLimit, BackoffStrategy, JitterStrategy},
};
use std::{num::NonZeroU32, time::Duration};

impl IntegrationKind {
    fn values(self) -> &'static IntegrationDefaults {
        match self {
            IntegrationKind::Database => &DATABASE,
            IntegrationKind::AiService => &AI_SERVICE,
            IntegrationKind::MarketData => &MARKET_DATA,
            IntegrationKind::Cache => &CACHE,
            IntegrationKind::ExternalApi => &EXTERNAL_API,
        }
    }
}

/// The table of the kinds; docs/participants-reference.md has the same.
struct IntegrationDefaults {
    connect_ms: u64,
    read_ms: u64,
    write_ms: u64,
    overall_ms: u64,
    /// Number of attempts after the first one.
    retries: u32,
    delay_ms: u64,
    max_delay_ms: u64,
    factor_percent: u32,
    jitter: JitterStrategy,
    failures_to_open: u32,
    successes_to_close: u32,
    health_interval_ms: u64,
}

/// The delay outlasts a fail-over's first moment, and stays below what a person at a screen takes for broken.
const DATABASE: IntegrationDefaults = IntegrationDefaults {
    connect_ms: 5_000,
    read_ms: 10_000,
    write_ms: 15_000,
    overall_ms: 30_000,
    retries: 3,
    delay_ms: 500,
    max_delay_ms: 10_000,
    factor_percent: 200,
    jitter: JitterStrategy::Equal,
    failures_to_open: 5,
    successes_to_close: 2,
    health_interval_ms: 30_000,
};

/// A model that is busy stays so for as long as its requests take: the delay is of that order.
const AI_SERVICE: IntegrationDefaults = IntegrationDefaults {
    connect_ms: 5_000,
    read_ms: 30_000,
    write_ms: 10_000,
    overall_ms: 60_000,
    retries: 3,
    delay_ms: 2_000,
    max_delay_ms: 30_000,
    factor_percent: 150,
    jitter: JitterStrategy::Equal,
    failures_to_open: 3,
    successes_to_close: 2,
    health_interval_ms: 60_000,
};

/// A price that comes late is worth nothing: both retries are over within a second.
const MARKET_DATA: IntegrationDefaults = IntegrationDefaults {
    connect_ms: 2_000,
    read_ms: 5_000,
    write_ms: 2_000,
    overall_ms: 10_000,
    retries: 2,
    delay_ms: 200,
    max_delay_ms: 2_000,
    factor_percent: 150,
    jitter: JitterStrategy::Equal,
    failures_to_open: 10,
    successes_to_close: 5,
    health_interval_ms: 10_000,
};

/// One more attempt for a connection that was closed meanwhile; a caller of a cache has another source.
const CACHE: IntegrationDefaults = IntegrationDefaults {
    connect_ms: 1_000,
    read_ms: 2_000,
    write_ms: 2_000,
    overall_ms: 5_000,
    retries: 1,
    delay_ms: 100,
    max_delay_ms: 1_000,
    factor_percent: 200,
    jitter: JitterStrategy::None,
    failures_to_open: 20,
    successes_to_close: 10,
    health_interval_ms: 60_000,
};

/// The operator cannot repair the service, and the service counts the calls: one retry more than usual, further apart.
const EXTERNAL_API: IntegrationDefaults = IntegrationDefaults {
    connect_ms: 5_000,
    read_ms: 15_000,
    write_ms: 10_000,
    overall_ms: 30_000,
    retries: 4,
    delay_ms: 1_000,
    max_delay_ms: 60_000,
    factor_percent: 200,
    jitter: JitterStrategy::Equal,
    failures_to_open: 5,
    successes_to_close: 3,
    health_interval_ms: 60_000,
};

impl IntegrationDefaults {
    fn retry(&self) -> RetryPolicy {
        RetryPolicy {
            attempts: NonZeroU32::new(self.retries + 1).map_or(AttemptLimit::Forever, AttemptLimit::Limited),
            delay: Duration::from_millis(self.delay_ms),
            max_delay: Duration::from_millis(self.max_delay_ms),
            backoff: BackoffStrategy::Exponential,
            jitter: self.jitter,
            factor_percent: self.factor_percent,
        }
    }

    fn breaker(&self) -> breaker::BreakerParameters {
        breaker::BreakerParameters {
            consecutive_failures: NonZeroU32::new(self.failures_to_open),
            successes: Some(self.successes_to_close),
            ..breaker::BreakerParameters::default()
        }
    }

    fn health(&self) -> health::HealthTrackerConfig {
        health::HealthTrackerConfig {
            interval: Duration::from_millis(self.health_interval_ms),
            ..health::HealthTrackerConfig::default()
        }
    }
}

/// What holds for a participant where its file says nothing.
pub(super) struct ParticipantDefaults {
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    /// `None`: the default retry policy of the step applies.
    pub(super) retry: Option<RetryPolicy>,
    pub(super) breaker: breaker::BreakerParameters,
    pub(super) health: health::HealthTrackerConfig,
    pub(super) bulkhead: NonZeroU32,
}

impl ParticipantDefaults {
    /// By its kind, and where that says nothing by its transport. Over Kafka there is no connection of its own to wait
    /// for.
    pub(super) fn of(kind: Option<IntegrationKind>, transport: Option<&TransportConfig>) -> ParticipantDefaults {
        let usual = ParticipantDefaults::of_transport(transport);
        let Some(values) = kind.map(IntegrationKind::values) else { return usual };
        let by_http =
            |millis| matches!(transport, Some(TransportConfig::Http { .. })).then(|| Duration::from_millis(millis));
        ParticipantDefaults {
            timeout: Duration::from_millis(values.overall_ms),
            connect_timeout: by_http(values.connect_ms).unwrap_or(usual.connect_timeout),
            read_timeout: by_http(values.read_ms),
            write_timeout: by_http(values.write_ms),
            retry: Some(values.retry()),
            breaker: values.breaker(),
            health: values.health(),
            bulkhead: usual.bulkhead,
        }
    }

    fn of_transport(transport: Option<&TransportConfig>) -> ParticipantDefaults {
        let (timeout, bulkhead) = match transport {
            Some(TransportConfig::Kafka { .. }) => (KAFKA_TIMEOUT, KAFKA_BULKHEAD),
            Some(TransportConfig::Http { .. }) | None => (HTTP_TIMEOUT, BULKHEAD),
        };
        ParticipantDefaults {
            timeout,
            connect_timeout: CONNECT_TIMEOUT,
            read_timeout: None,
            write_timeout: None,
            retry: None,
            breaker: breaker::BreakerParameters::default(),
            health: health::HealthTrackerConfig::default(),
            bulkhead,
        }
    }
}
