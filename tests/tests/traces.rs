//! Traces of sagas at a collector: one trace for each saga, joined to its trigger's, whole also after a crash, and of
//! what fails also where nothing else is told of.

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value as Number};
use saga_tests::{
    collector::{ReceivedSpan, TestCollector},
    engine::Engine,
    eventually::eventually,
    kafka::TopicRecord,
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const STEPS: &str = "
steps:
  - {step: reserve, do: inventory.ReserveStock, undo: inventory.ReleaseStock}
  - step: charge
    do: POST payments/charges
    with: {refuse: \"${ has(event.refuse) }\", card: \"${ event.card }\"}
    undo: POST payments/refunds
";
const TRIGGER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// What a customer pays with must be in no span.
const CARD: &str = "4242-canary-4242";

async fn world() -> Result<Option<TestWorld>> {
    let refusing = ParticipantScript::default().when(|call, _| {
        (call.body["refuse"] == true && call.command.ends_with(":do")).then(|| ScriptedBehaviour::status(422))
    });
    let Some(world) = TestWorld::new(ParticipantScript::default(), refusing).await? else { return Ok(None) };
    world.define("order", STEPS)?;
    Ok(Some(world))
}

/// The world with these variables of OpenTelemetry for its engines.
fn telling(mut world: TestWorld, variables: &[(&str, &str)]) -> TestWorld {
    for (name, value) in variables {
        world.installation = world.installation.with_env(name, value);
    }
    world.installation = world.installation.with_env("OTEL_BSP_SCHEDULE_DELAY", "50");
    world
}

async fn order(world: &TestWorld, id: &str, refuse: bool, headers: &[(&str, &str)]) -> Result<()> {
    let mut event = json!({"orderId": id, "card": CARD});
    if refuse {
        event["refuse"] = true.into();
    }
    let mut record = TopicRecord::event("OrderPlaced", id, &event);
    let added = headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec())));
    record.headers.extend(added);
    world.send(&world.orders, &record).await?;
    Ok(())
}

/// The id of the saga, when it has ended in one of the statuses.
async fn ended(engine: &Engine, key: &str, status: &str) -> Result<String> {
    let saga: Value = reaches(engine, key, &[status]).await?;
    Ok(saga["id"].as_str().context("an id")?.to_owned())
}

/// The spans of the trace when the span of the saga is among them.
async fn trace(collector: &TestCollector, saga: &str) -> Result<Vec<ReceivedSpan>> {
    eventually("the saga's span has come", WITHIN, || async {
        let spans = collector.of(saga);
        Ok(spans.iter().any(|span| span.name == "saga order").then_some(spans))
    })
    .await
}

fn span<'a>(spans: &'a [ReceivedSpan], name: &str) -> &'a ReceivedSpan {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name} in {spans:#?}"))
}

#[tokio::test]
async fn a_trace_joins_the_trigger_s_and_participants_see_their_attempt_as_parent() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let collector = TestCollector::start().await?;
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.http()), ("SAGA_LOG", "info,saga_engine::course=debug")];
    let world = telling(world, &variables);
    let engine = world.start().await?;
    let headers = [
        ("traceparent", TRIGGER),
        ("tracestate", "shop=1"),
        ("baggage", "tenant=7"),
        ("X-Request-ID", "request-1"),
        ("X-Trace-ID", "old-trace"),
    ];
    order(&world, "1", false, &headers).await?;
    let saga = ended(&engine, "1", "completed").await?;
    let spans = trace(&collector, &saga).await?;
    let whole = span(&spans, "saga order");
    assert_eq!((whole.trace.as_str(), whole.parent.as_str()), (&TRIGGER[3..35], &TRIGGER[36..52]));
    let link = &whole.links[0];
    assert_eq!((link.0.as_str(), link.1["messaging.destination.name"].as_str()), (&TRIGGER[36..52], &*world.orders));
    let (reserve, charge) = (span(&spans, "do reserve"), span(&spans, "do charge"));
    assert_eq!((&reserve.parent, &charge.parent), (&whole.id, &whole.id));
    let (sent, posted) = (span(&spans, &format!("send {}", world.inventory.topic())), span(&spans, "POST charge"));
    assert_eq!((&sent.parent, &posted.parent), (&reserve.id, &charge.id));
    assert_eq!(posted.attributes["server.address"], "127.0.0.1");
    let [inventory, payments] = world.ledgers();
    let (record, request) = (&inventory.calls()[0].headers, &payments.calls()[0].headers);
    assert_eq!(record["traceparent"], format!("00-{}-{}-01", whole.trace, sent.id));
    assert_eq!(request["traceparent"], format!("00-{}-{}-01", whole.trace, posted.id));
    for passed in [record, request] {
        assert_eq!((passed["tracestate"].as_str(), passed["baggage"].as_str()), ("shop=1", "tenant=7"));
        assert_eq!(passed["x-trace-id"], "old-trace");
    }
    assert_eq!((record["x-request-id"].as_str(), request["x-origin-request-id"].as_str()), ("request-1", "request-1"));
    let log = engine.log()?;
    ensure!(!log.contains(CARD) && spans.iter().all(|span| !span.text.contains(CARD)), "the card is in a span");
    let course: Vec<&str> = log.lines().filter(|line| line.contains("the saga recorded an event")).collect();
    let of_saga = [format!("saga={saga}"), "key=\"1\"".into(), format!("trace_id={}", whole.trace)];
    let all = of_saga.iter().map(String::as_str).chain(["request_id=\"request-1\""]);
    ensure!(all.clone().all(|field| course.iter().all(|line| line.contains(field))), "{course:#?}");
    ensure!(course.iter().any(|line| line.contains("step=\"charge\"")) && course.len() >= 6, "{course:#?}");
    engine.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn what_fails_is_told_of_also_where_no_share_is_sampled() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let collector = TestCollector::start().await?;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.grpc()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()),
        ("OTEL_TRACES_SAMPLER", "always_off".to_owned()),
    ];
    let world = telling(world, &variables.each_ref().map(|(name, value)| (*name, value.as_str())));
    let engine = world.start().await?;
    order(&world, "good", false, &[]).await?;
    let good = ended(&engine, "good", "completed").await?;
    order(&world, "bad", true, &[]).await?;
    let bad = ended(&engine, "bad", "compensated").await?;
    let spans = trace(&collector, &bad).await?;
    let (whole, back) = (span(&spans, "saga order"), span(&spans, "compensate"));
    assert_eq!((whole.error.as_deref(), whole.parent.as_str()), (Some("http.422"), ""));
    assert_eq!(whole.trace, bad.replace('-', ""), "the trace has the saga's name");
    assert_eq!(back.links[0].0, span(&spans, "do charge").id);
    assert_eq!(span(&spans, "undo reserve").parent, back.id);
    span(&spans, "do reserve");
    // What came before the failure comes from the journal, and what comes after it is told of live: each once.
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "{spans:#?}");
    ensure!(collector.of(&good).is_empty(), "nothing is told of a saga that went well");
    engine.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_saga_that_outlives_its_engine_stays_one_trace_and_a_dead_collector_holds_nobody_up() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let text = format!(
        "{STEPS}  - {{step: rest, wait: 2s}}\n  - {{step: tell, do: POST payments/told, irreversible: true}}\n"
    );
    world.define("order", &text)?;
    let collector = TestCollector::start().await?;
    let (http, nobody) = (collector.http(), "http://127.0.0.1:9".to_owned());
    let world = telling(world, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &http)]);
    let engine = world.start().await?;
    order(&world, "1", false, &[]).await?;
    eventually("the first steps are told of", WITHIN, || async {
        Ok(collector.spans().iter().any(|span| span.name == "do charge").then_some(()))
    })
    .await?;
    engine.kill().await?;
    let engine = world.start().await?;
    let saga = ended(&engine, "1", "completed").await?;
    let spans = trace(&collector, &saga).await?;
    let whole = span(&spans, "saga order");
    for name in ["do reserve", "do charge", "do rest", "do tell"] {
        assert_eq!((&span(&spans, name).parent, &span(&spans, name).trace), (&whole.id, &whole.trace), "{name}");
    }
    engine.terminate().await?;
    let deaf = telling(world, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &nobody)]);
    let engine = deaf.start().await?;
    order(&deaf, "2", false, &[]).await?;
    ended(&engine, "2", "completed").await?;
    eventually("the engine says that the collector takes nothing", WITHIN, || async {
        Ok(engine.log()?.contains("the collector does not take spans").then_some(()))
    })
    .await?;
    engine.terminate().await?;
    Ok(())
}

/// What is scraped is sent, too, over either protocol, with the headers of the environment.
#[tokio::test]
async fn metrics_go_to_the_collector_as_they_are_scraped() -> Result<()> {
    for protocol in ["grpc", "http/protobuf"] {
        let Some(world) = world().await? else { return Ok(()) };
        let collector = TestCollector::start().await?;
        let address = if protocol == "grpc" { collector.grpc() } else { collector.http() };
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*address),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
            ("SAGA_TELEMETRY_BUCKETS", "1ms, 1h"),
        ];
        let world = telling(world, &variables);
        let engine = world.start().await?;
        order(&world, "1", false, &[]).await?;
        ended(&engine, "1", "completed").await?;
        let (metric, tenant) =
            eventually("the end has come", WITHIN, || async { Ok(collector.metric("saga_ended_total")) }).await?;
        let Some(Data::Sum(sum)) = metric.data else { anyhow::bail!("a sum") };
        assert_eq!((sum.is_monotonic, tenant.as_deref()), (true, Some("a b")), "{protocol}");
        assert_eq!(sum.data_points[0].value, Some(Number::AsDouble(1.0)));
        let (took, _) = collector.metric("saga_duration_seconds").context("the duration")?;
        let Some(Data::Histogram(took)) = took.data else { anyhow::bail!("a histogram") };
        let point = &took.data_points[0];
        assert_eq!((point.explicit_bounds.as_slice(), point.count), (&[0.001, 3600.0][..], 1));
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), 1);
        engine.terminate().await?;
    }
    Ok(())
}
