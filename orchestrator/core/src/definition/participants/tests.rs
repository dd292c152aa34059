use super::*;
use saga_guards::{breaker::WindowConfig, retry::JitterStrategy};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

/// The participant of which a file says `keys` besides its URL.
fn over_http(keys: &str) -> ParticipantConfig {
    reading(&format!("participants: {{payments: {{http: {{url: http://payments}}, {keys}}}}}"))
}

fn over_kafka(keys: &str) -> ParticipantConfig {
    reading(&format!("participants: {{payments: {{kafka: {{commands: payments}}, {keys}}}}}"))
}

fn reading(text: &str) -> ParticipantConfig {
    let participants = parse("participants.yaml", text, &|name| Some(format!("host-of-{name}")));
    participants.expect("a file without errors").get("payments").expect("it is in the file").clone()
}

/// What a file with these keys is refused for.
fn refusal(keys: &str) -> String {
    let text = format!("participants: {{payments: {{http: {{url: http://payments}}, {keys}}}}}");
    let findings = parse("participants.yaml", &text, &|_| None).expect_err(keys);
    findings.into_iter().map(|finding| finding.message).collect::<Vec<_>>().join("; ")
}

#[test]
fn every_kind_has_the_values_of_the_table() {
    // Connect, read, write, overall; retries; failures to open, successes to close; health interval.
    let table = [
        ("database", [5, 10, 15, 30], 3, (5, 2), 30),
        ("ai_service", [5, 30, 10, 60], 3, (3, 2), 60),
        ("market_data", [2, 5, 2, 10], 2, (10, 5), 10),
        ("cache", [1, 2, 2, 5], 1, (20, 10), 60),
        ("external_api", [5, 15, 10, 30], 4, (5, 3), 60),
    ];
    assert_eq!(table.map(|(kind, ..)| kind), IntegrationKind::NAMES);
    for (kind, [connect, read, write, overall], retries, (failures, successes), interval) in table {
        let it = over_http(&format!("kind: {kind}, health: {{path: health}}"));
        assert_eq!(it.kind.map(IntegrationKind::as_str), Some(kind));
        assert_eq!([it.connect_timeout, it.timeout], [seconds(connect), seconds(overall)], "{kind}");
        assert_eq!([it.read_timeout, it.write_timeout], [Some(seconds(read)), Some(seconds(write))], "{kind}");
        let retry = it.retry.expect("its kind has retries").policy;
        assert!(retry.allows(retries + 1) && !retry.allows(retries + 2), "{kind}");
        let breaker = it.breaker.settings();
        assert_eq!((breaker.consecutive_failures, breaker.successes), (Some(number(failures)), Some(successes)));
        assert_eq!(it.health.expect("a health check").config.interval, seconds(interval), "{kind}");
    }
}

#[test]
fn the_delays_of_the_kinds_grow_as_the_table_says() {
    // Before each retry, in milliseconds, without jitter.
    let table: [(&str, JitterStrategy, &[u128]); 5] = [
        ("database", JitterStrategy::Equal, &[500, 1_000, 2_000]),
        ("ai_service", JitterStrategy::Equal, &[2_000, 3_000, 4_500]),
        ("market_data", JitterStrategy::Equal, &[200, 300]),
        ("cache", JitterStrategy::None, &[100]),
        ("external_api", JitterStrategy::Equal, &[1_000, 2_000, 4_000, 8_000]),
    ];
    for (kind, jitter, delays) in table {
        let retry = over_http(&format!("kind: {kind}")).retry.expect("its kind has retries").policy;
        assert_eq!(retry.jitter, jitter, "{kind}");
        let retry = saga_guards::retry::RetryPolicy { jitter: JitterStrategy::None, ..retry };
        let got: Vec<u128> =
            (2..).zip(delays).map(|(attempt, _)| retry.delay_before(attempt, None, 0).as_millis()).collect();
        assert_eq!(got, delays, "{kind}");
    }
}

#[test]
fn what_is_written_wins_over_the_kind() {
    let it = over_http(
        "kind: database, timeout: 3s, readTimeout: 1s, retry: {delay: 3s}, breaker: {successes: 7}, \
         health: {connect: true, interval: 7s}",
    );
    assert_eq!((it.timeout, it.read_timeout, it.write_timeout), (seconds(3), Some(seconds(1)), Some(seconds(15))));
    let retry = it.retry.expect("retries");
    assert_eq!((retry.policy.delay, retry.policy.max_delay), (seconds(3), seconds(10)));
    assert!(retry.policy.allows(4) && !retry.policy.allows(5), "attempts are those of the kind");
    let breaker = it.breaker.settings();
    assert_eq!((breaker.consecutive_failures, breaker.successes), (Some(number(5)), Some(7)));
    let health = it.health.expect("a health check");
    assert_eq!((health.check, health.config.interval), (HealthCheckMethod::Connect, seconds(7)));
    assert_eq!(health.config.timeout, seconds(5));
}

#[test]
fn a_kind_limits_attempts_before_the_pivot_only() {
    use crate::policy::AttemptLimit;
    let limited = |count| AttemptLimit::Limited(number(count));
    let retry = over_http("kind: cache").retry.expect("retries");
    assert_eq!(retry.on(limited(5)).attempts, limited(2));
    assert_eq!(retry.on(AttemptLimit::Forever).attempts, AttemptLimit::Forever);
    let said = over_http("kind: cache, retry: {attempts: 3}").retry.expect("retries");
    assert_eq!(said.on(AttemptLimit::Forever).attempts, limited(3));
}

#[test]
fn a_kind_alone_asks_nobody_and_over_kafka_has_only_the_whole_attempt() {
    let it = over_kafka("kind: database");
    assert_eq!((it.health.clone(), it.timeout), (None, seconds(30)));
    assert_eq!((it.connect_timeout, it.read_timeout, it.write_timeout), (CONNECT_TIMEOUT, None, None));
    assert_eq!(it.bulkhead.limit, KAFKA_BULKHEAD);
    assert_eq!(over_kafka("kind: cache").timeout, seconds(5));
}

#[test]
fn without_a_word_the_defaults_hold() {
    let it = over_http("description: Takes the money.");
    assert_eq!((it.timeout, it.connect_timeout), (HTTP_TIMEOUT, CONNECT_TIMEOUT));
    assert_eq!((it.read_timeout, it.write_timeout, it.retry, it.kind), (None, None, None, None));
    assert_eq!((it.breaker, it.bulkhead), (breaker::BreakerConfig::default(), BulkheadConfig::of(BULKHEAD)));
    assert_eq!((it.rate_limit, it.health, it.degraded), (None, None, DegradationConfig::default()));
    let TransportConfig::Http { balance, ejection, .. } = it.transport else { panic!("over HTTP") };
    assert_eq!((balance, ejection), (BalancingStrategy::RoundRobin, Some(EjectionConfig::default())));
}

#[test]
fn a_breaker_takes_every_setting() {
    let it = over_http(
        "breaker: {failureRate: 0.3, slowCall: 2s, slowCallRate: 0.8, consecutiveFailures: 5, minimumCalls: 20, window: 100, \
         openFor: 30s, maxOpenFor: 5m, probes: 5, successes: 2, probeTimeout: 30s, ramp: 20s, shedAbove: 2}",
    );
    let expected = breaker::BreakerParameters {
        window: WindowConfig::Calls(100),
        minimum_calls: 20,
        failure_rate: 0.3,
        slow_call: Some(seconds(2)),
        slow_call_rate: 0.8,
        consecutive_failures: Some(number(5)),
        open_for: seconds(30),
        max_open_for: seconds(300),
        probes: 5,
        successes: Some(2),
        probe_timeout: seconds(30),
        ramp: seconds(20),
        shed_above: Some(2.0),
    };
    assert_eq!(*it.breaker.settings(), expected);
}

#[test]
fn what_a_breaker_does_not_say_follows_from_what_it_says() {
    let settings = |keys: &str| *over_http(&format!("breaker: {{{keys}}}")).breaker.settings();
    assert_eq!(settings("openFor: 10m").max_open_for, seconds(600));
    assert_eq!(settings("openFor: 1s").max_open_for, seconds(120));
    assert_eq!(settings("window: 4").minimum_calls, 4);
    assert_eq!(settings("window: 400").minimum_calls, 10);
    assert_eq!(settings("ramp: false").ramp, Duration::ZERO);
}

#[test]
fn a_command_over_kafka_waits_for_no_place_in_memory() {
    for keys in ["bulkhead: 7", "bulkhead: {limit: 7}"] {
        let bulkhead = over_kafka(keys).bulkhead;
        assert_eq!((bulkhead.limit, bulkhead.max_waiting, bulkhead.max_wait), (number(7), Some(0), Duration::ZERO));
    }
    let said = |key: &str| {
        let keys = format!("participants: {{payments: {{kafka: {{commands: payments}}, bulkhead: {{{key}}}}}}}");
        let refused = parse("participants.yaml", &keys, &|_| None).expect_err("it is of HTTP");
        refused.into_iter().map(|it| (it.code, it.message)).collect::<Vec<_>>()
    };
    for key in ["maxWaiting", "maxWait"] {
        let message = format!("`{key}` is only for HTTP, but this participant is called over Kafka");
        let value = if key == "maxWait" { "100ms" } else { "3" };
        assert_eq!(said(&format!("{key}: {value}")), [(crate::definition::Code::ConflictingKeys, message)]);
    }
}

#[test]
fn a_202_says_nothing_of_the_outcome_unless_the_file_says_so() {
    assert_eq!(over_http("timeout: 1s").accepted, AcceptedMeaning::Unknown);
    assert_eq!(over_http("accepted: unknown").accepted, AcceptedMeaning::Unknown);
    assert_eq!(over_http("accepted: succeeded").accepted, AcceptedMeaning::Succeeded);
    let said = |file: &str| {
        let refused = parse("participants.yaml", file, &|_| None).expect_err("it is refused");
        refused.into_iter().map(|it| it.code).collect::<Vec<_>>()
    };
    let over_kafka = "participants: {payments: {kafka: {commands: payments}, accepted: succeeded}}";
    assert_eq!(said(over_kafka), [crate::definition::Code::ConflictingKeys]);
    let misspelt = "participants: {payments: {http: {url: 'http://localhost:1'}, accepted: yes}}";
    assert_eq!(said(misspelt), [crate::definition::Code::WrongValue]);
}

#[test]
fn a_bulkhead_is_a_number_or_says_more() {
    let bulkhead = |keys: &str| over_http(&format!("bulkhead: {keys}")).bulkhead;
    assert_eq!(bulkhead("7"), BulkheadConfig::of(number(7)));
    let said = bulkhead("{limit: 32, maxWaiting: 0, maxWait: 200ms}");
    let expected = BulkheadConfig {
        limit: number(32),
        max_waiting: Some(0),
        max_wait: Duration::from_millis(200),
        adaptive: None,
    };
    assert_eq!(said, expected);
    let bounds = |keys: &str| {
        let it = bulkhead(keys);
        let bounds = it.adaptive.map(|config| (config.min().get(), config.start().get(), config.max().get()));
        (it.limit.get(), bounds)
    };
    assert_eq!(bounds("{adaptive: true}"), (64, Some((4, 64, 64))));
    assert_eq!(bounds("{limit: 8, adaptive: true}"), (8, Some((1, 8, 8))));
    assert_eq!(bounds("{adaptive: {min: 2, start: 10, max: 200}}"), (200, Some((2, 10, 200))));
    assert_eq!(bounds("{limit: 100, adaptive: {start: 3}}"), (100, Some((3, 3, 100))));
    assert_eq!(bounds("{limit: 100, adaptive: false}"), (100, None));
}

#[test]
fn a_rate_is_short_or_says_more() {
    let rate = |keys: &str| {
        let rate = over_http(&format!("rateLimit: {keys}")).rate_limit.expect("a rate");
        (rate.calls.get(), rate.per, rate.burst.get())
    };
    assert_eq!(rate("100/s"), (100, seconds(1), 100));
    assert_eq!(rate("600/m"), (600, seconds(60), 10));
    assert_eq!(rate("90/m"), (90, seconds(60), 2), "rounded up");
    assert_eq!(rate("1/h"), (1, seconds(3_600), 1), "at least one");
    assert_eq!(rate("{calls: 100, per: 10s}"), (100, seconds(10), 10));
    assert_eq!(rate("{calls: 5, burst: 20}"), (5, seconds(1), 20));
    for wrong in ["0/s", "-1/s", "1/d", "1/", "/s", "1.5/s", "99999999999/s"] {
        assert_eq!(refusal(&format!("rateLimit: {wrong}")), format!("`{wrong}` is not a rate"));
    }
    assert_eq!(refusal("rateLimit: 1000001/s"), "more than 1000000 calls a second");
    assert_eq!(refusal("rateLimit: {calls: 4000000000, per: 1ms}"), "more than 1000000 calls a second");
}

#[test]
fn budget_and_degraded_mode_are_read() {
    let it = over_http("retryBudget: {share: 0.1, reservePerSecond: 0}, degraded: {share: 0.5, afterTrip: 5m}");
    assert_eq!(it.retry_budget, budget::RetryBudgetConfig { share: 0.1, reserve_per_second: 0 });
    assert_eq!(it.degraded, DegradationConfig { share: 0.5, after_trip: Some(seconds(300)) });
}

#[test]
fn a_health_check_asks_a_path_a_url_or_for_a_connection() {
    let check = |keys: &str| over_http(&format!("health: {{{keys}}}")).health.expect("a health check").check;
    assert_eq!(check("path: /status/ready?deep=1"), HealthCheckMethod::Path("status/ready?deep=1".into()));
    assert_eq!(check("connect: true"), HealthCheckMethod::Connect);
    let url = over_kafka("health: {url: 'http://${ env.NAME }:8080/health'}").health.expect("a health check");
    assert_eq!(url.check, HealthCheckMethod::Url("http://host-of-NAME:8080/health".into()));
    assert_eq!(url.config, health::HealthTrackerConfig::default());
    let quick = over_http("health: {path: health, interval: 2s, unhealthyAfter: 5, healthyAfter: 2}").health;
    let expected = health::HealthTrackerConfig {
        interval: seconds(2),
        timeout: seconds(2),
        unhealthy_after: number(5),
        healthy_after: number(2),
    };
    assert_eq!(quick.expect("a health check").config, expected, "a check is over before the next one");
}

#[test]
fn endpoints_are_picked_as_the_file_says() {
    let http =
        |keys: &str| match reading(&format!("participants: {{payments: {{http: {{url: http://payments, {keys}}}}}}}"))
            .transport
        {
            TransportConfig::Http { balance, ejection, .. } => (balance, ejection),
            TransportConfig::Kafka { .. } => panic!("over HTTP"),
        };
    assert_eq!(http("balance: least-connections").0, BalancingStrategy::LeastConnections);
    assert_eq!(http("balance: weighted").0, BalancingStrategy::RoundRobin);
    assert_eq!(http("balance: random, ejection: false"), (BalancingStrategy::Random, None));
    let long = EjectionConfig { consecutive_failures: number(3), eject_for: seconds(600), max_eject_for: seconds(600) };
    assert_eq!(http("ejection: {consecutiveFailures: 3, ejectFor: 10m}").1, Some(long));
}

#[test]
fn failures_are_classified_and_handled_as_the_file_says() {
    let errors = "errors: {classify: {418: rate_limit, 5xx: client_error, OUT_OF_STOCK: validation}, \
                  handle: {client_error: retry, rate_limit: retry-then-park, server_error: fail}}";
    let it = over_http(errors);
    let classes = [
        (FailurePattern::Status(StatusPattern::Exactly(418)), ErrorClass::RateLimit),
        (FailurePattern::Status(StatusPattern::Class(5)), ErrorClass::ClientError),
        (FailurePattern::Code("OUT_OF_STOCK".into()), ErrorClass::Validation),
    ];
    assert_eq!(it.classes, classes);
    let handling = [
        (ErrorClass::RateLimit, FailureHandling::RetryThenPark),
        (ErrorClass::ServerError, FailureHandling::Fail),
        (ErrorClass::ClientError, FailureHandling::Retry),
    ];
    assert_eq!(it.handling, BTreeMap::from(handling));
    let by_code = (FailurePattern::Code("418".into()), ErrorClass::RateLimit);
    assert_eq!(over_kafka(errors).classes[0], by_code, "over Kafka there is no status");
}

#[test]
fn every_class_has_a_name_that_may_be_written() {
    let names = ErrorClass::ALL.map(ErrorClass::as_str);
    for name in names {
        let it = over_http(&format!("errors: {{classify: {{X: {name}}}, handle: {{{name}: fail}}}}"));
        assert_eq!((it.classes[0].1.as_str(), it.handling.len()), (name, 1));
    }
}

#[test]
fn capabilities_and_what_a_participant_needs_are_names() {
    let text = "participants: {payments: {kafka: {commands: a}, capabilities: [text-analysis, b2], dependsOn: [store]}, \
                store: {kafka: {commands: b}}}";
    let it = reading(text);
    assert_eq!(it.capabilities, BTreeSet::from(["text-analysis".into(), "b2".into()]));
    assert_eq!(it.depends_on, ["store"]);
}
