//! The variables of OpenTelemetry, and what is said of wrong ones.

use super::{OtlpProtocol, TraceConfig, traces};
use saga_engine::traces::TraceSampling;
use std::time::Duration;

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

fn read(variables: &[(&str, &str)]) -> Result<Option<TraceConfig>, String> {
    let env = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    traces(env).map_err(|error| error.to_string())
}

fn sampling(variables: &[(&str, &str)]) -> TraceSampling {
    read(&[&[ENDPOINT], variables].concat()).expect("they are right").expect("traces are on").sampling
}

#[test]
fn there_are_no_traces_unless_an_endpoint_is_set() {
    for off in [
        vec![],
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
        vec![ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")],
        vec![ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        assert_eq!(read(&off), Ok(None), "{off:?}");
    }
    let on = read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).expect("right").expect("on");
    assert_eq!((on.protocol, on.queue, on.batch, on.delay), (OtlpProtocol::Grpc, 2_048, 512, Duration::from_secs(5)));
    assert_eq!(on.sampling.slow, Some(Duration::from_secs(60)));
}

#[test]
fn samplers_have_the_names_of_opentelemetry() {
    let of = |follows_trigger, share| TraceSampling { follows_trigger, share, slow: Some(Duration::from_secs(60)) };
    let ratio = ("OTEL_TRACES_SAMPLER_ARG", "0.25");
    assert_eq!(sampling(&[]), of(true, 1.0));
    assert_eq!(sampling(&[("OTEL_TRACES_SAMPLER", "always_off")]), of(false, 0.0));
    assert_eq!(sampling(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ratio]), of(false, 0.25));
    assert_eq!(sampling(&[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ratio]), of(true, 0.25));
    assert_eq!(sampling(&[("OTEL_TRACES_SAMPLER", "parentbased_always_off"), ratio]), of(true, 0.0));
}

#[test]
fn what_is_wrong_is_named_with_what_was_expected() {
    for (name, value, expected) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "an address like http://localhost:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "grpc or http/protobuf"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "otlp or none"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "parentbased_traceidratio"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a whole number from 1 to 65536"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s", "a whole number from 1 to 60000"),
    ] {
        let error = read(&[ENDPOINT, (name, value)]).expect_err(value);
        assert!(error.contains(&format!("`{name}` is `{value}`: expected")), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let ratio = [ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "10%")];
    assert!(read(&ratio).expect_err("no share").contains("a share from 0 to 1, like 0.1"));
}
