//! What poison costs the good records of the same topics: 5,000 records a second, of which a tenth start a saga,
//! without poison and with 1 % of it, in turn. It is run by `tests/run with cargo bench -p saga-tests --bench poison`;
//! `SAGA_TEST_BINARY` names the binary to be measured.
//!
//! It ends with an error if a good record starts no saga, if a poison record has no dead letter, or if the sagas of one
//! partition stand still for 5 s.

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use rdkafka::{
    Message,
    consumer::{Consumer, StreamConsumer},
    message::Timestamp,
};
use saga_tests::{
    engine::Engine,
    eventually::eventually,
    kafka::{TestKafka, TestProducer, TopicRecord},
    participant::ParticipantScript,
    unique,
    world::TestWorld,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    io::Write as _,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Records that are sent in each step of the sender, of 10 ms each: 5,000 a second.
const RECORDS_PER_TICK: u32 = 50;
const TICK: Duration = Duration::from_millis(10);
const ROUND: Duration = Duration::from_secs(30);
/// Rounds without and with poison, in turn. The first one warms up and is not counted.
const ROUNDS: [bool; 9] = [false, true, false, false, true, true, false, false, true];
const PARTITIONS: i32 = 6;
/// A saga starts for one of so many records, and one of so many is poison.
const STARTS: u32 = 10;
const POISON: u32 = 100;
/// One of so many poison records is of over 1 MiB.
const LARGE: u32 = 320;
/// How long the sagas of a partition may stand still.
const STANDSTILL: Duration = Duration::from_secs(5);
const SETTLED: Duration = Duration::from_secs(180);

/// What becomes of records, by the orders that they are.
#[derive(Debug, Default)]
struct RoundFigures {
    /// Milliseconds from the record of a trigger to the event of its saga's end, sorted.
    spans_ms: Vec<i64>,
    /// The longest time without the end of a saga, over all partitions.
    standstill: Duration,
    /// Poison records that were sent to the topic of orders and to that of replies.
    poison: i64,
    records: u32,
}

#[tokio::main]
async fn main() -> Result<()> {
    let script = ParticipantScript::default;
    let Some(world) = TestWorld::new(script(), script()).await? else { return Ok(()) };
    let (orders, ends) = (unique("orders"), world.kafka.fresh_topic("ends", PARTITIONS).await?);
    // The topic takes what is too large for the engine.
    world.kafka.create_topic(&orders, PARTITIONS, &[("max.message.bytes", "2000000")]).await?;
    let order = format!(
        "saga: order\ntrigger: {{topic: {orders}, type: OrderPlaced, key: \"${{ event.orderId }}\", when: event.amount > 0}}\n\
         steps: [{{step: note, publish: {ends}, type: OrderNoted, irreversible: true}}]\n\
         onCompleted: {{publish: {ends}, type: OrderDone}}\n"
    );
    world.installation.definition("order", &order)?;
    let engine = world.start().await?;
    let replies = world.installation.replies().to_owned();
    let bench = PoisonBench { kafka: world.kafka.clone(), producer: world.kafka.producer()?, orders, replies, ends };
    say("poison | records/s | sagas | p50 ms | p99 ms | longest ms | standstill | letters")?;
    let (mut letters, mut spans) = (0, [Vec::new(), Vec::new()]);
    for (number, poisoned) in ROUNDS.into_iter().enumerate() {
        let figures = bench.round(poisoned).await?;
        letters += figures.poison;
        has_letters(&world, &engine, letters).await?;
        say(&figures.line(poisoned))?;
        ensure!(figures.standstill < STANDSTILL, "the sagas of a partition stood still for {:?}", figures.standstill);
        if number > 0 {
            spans[usize::from(poisoned)].extend(figures.spans_ms);
        }
    }
    for percent in [50, 90, 99] {
        let [without, with] = spans.each_mut().map(|all| {
            all.sort_unstable();
            percentile(all, percent)
        });
        say(&format!("p{percent} of all rounds: {without} ms without, {with} ms with poison"))?;
    }
    Ok(())
}

/// The topics of the bench, and what sends to them.
struct PoisonBench {
    kafka: TestKafka,
    producer: TestProducer,
    orders: String,
    replies: String,
    ends: String,
}

impl PoisonBench {
    /// Sends for a round, and waits until each good record has had its saga.
    async fn round(&self, poisoned: bool) -> Result<RoundFigures> {
        let name = unique("r");
        let ends = self.reader()?;
        let mut figures = RoundFigures::default();
        let (mut sending, mut good, began) = (Vec::new(), 0, Instant::now());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while began.elapsed() < ROUND {
            ticks.tick().await;
            let mut batch = Vec::new();
            for number in figures.records..figures.records + RECORDS_PER_TICK {
                let is_poison = poisoned && number % POISON == 1;
                figures.poison += i64::from(is_poison);
                good += u32::from(!is_poison && number.is_multiple_of(STARTS));
                let order = |record| (self.orders.clone(), record);
                batch.push(if is_poison { self.poison(number / POISON) } else { order(usual(&name, number)) });
            }
            figures.records += RECORDS_PER_TICK;
            let producer = self.producer.clone();
            sending.push(tokio::spawn(async move {
                let sent = join_all(batch.iter().map(|(topic, record)| producer.send(topic, record))).await;
                sent.into_iter().collect::<Result<Vec<_>>>().map(drop)
            }));
        }
        for sent in sending {
            sent.await??;
        }
        figures.ended(&ends, &name, good).await?;
        Ok(figures)
    }

    /// A record of each class in turn: three of a topic of replies, and all others of orders.
    fn poison(&self, number: u32) -> (String, TopicRecord) {
        match number % 5 {
            0 => (self.replies.clone(), poisonous_reply(number / 5)),
            _ => (self.orders.clone(), poisonous_order(number)),
        }
    }

    /// Reads the ends of sagas from now on.
    fn reader(&self) -> Result<StreamConsumer> {
        let mut config = self.kafka.client();
        let consumer: StreamConsumer =
            config.set("group.id", unique("bench")).set("auto.offset.reset", "earliest").create()?;
        consumer.subscribe(&[&self.ends])?;
        Ok(consumer)
    }
}

/// A record that starts a saga, or that nobody wants.
fn usual(round: &str, number: u32) -> TopicRecord {
    let id = format!("{round}-{number}");
    let sent_at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let order = json!({"orderId": format!("{id}/{}", sent_at.as_millis()), "amount": 7, "lines": ["a", "b", "c"]});
    let kind = if number.is_multiple_of(STARTS) { "OrderPlaced" } else { "OrderSeen" };
    TopicRecord::event(kind, &id, &order)
}

/// A reply that no saga can take.
fn poisonous_reply(number: u32) -> TopicRecord {
    let nobody = "01a1fd5e-cd14-7005-9df6-748edc4017ec";
    let command = format!("{nobody}:charge:do");
    let headers: &[(&str, &str)] = match number % 3 {
        0 => &[("saga_outcome", "succeeded")],
        1 => &[("idempotency_key", &command), ("saga_outcome", "succeeded")],
        _ => &[("idempotency_key", &command), ("saga_outcome", "perhaps")],
    };
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec()))).collect();
    TopicRecord { partition: None, key: Some(nobody.as_bytes().to_vec()), value: Some(b"{}".to_vec()), headers }
}

/// A record of each class that a producer can cause on a topic of triggers.
fn poisonous_order(number: u32) -> TopicRecord {
    let deep = format!("{}{}", "[".repeat(80), "]".repeat(80));
    let digits = "9".repeat(200);
    let typed = |value: &[u8]| {
        let headers = vec![("ce_type".to_owned(), Some(b"OrderPlaced".to_vec()))];
        TopicRecord { partition: None, key: Some(number.to_be_bytes().to_vec()), value: Some(value.to_vec()), headers }
    };
    let headed = |name: &str, value: &[u8]| {
        let headers = vec![(name.to_owned(), Some(value.to_vec()))];
        TopicRecord { headers, ..typed(br#"{"orderId": "1", "amount": 1}"#) }
    };
    match number % 16 {
        0 => typed(b"{not json"),
        1 => TopicRecord { headers: Vec::new(), ..typed(br#"{"orderId": "1"}"#) },
        2 => typed(br#"{"amount": 1}"#),
        3 => typed(br#"{"orderId": "1"}"#),
        4 => typed(br#"{"orderId": "a\u0000b", "amount": 1}"#),
        5 => typed(format!(r#"{{"orderId": "1", "amount": 1, "deep": {deep}}}"#).as_bytes()),
        6 => typed(format!(r#"{{"orderId": "1", "amount": {digits}}}"#).as_bytes()),
        7 => typed(br#"{"orderId": "1", "orderId": "2", "amount": 1}"#),
        8 => typed(br#"{"orderId": null, "amount": 1}"#),
        9 => TopicRecord { value: None, ..typed(b"") },
        10 => headed("ce_type", b"Order\xff\xfePlaced"),
        11 => typed(b"\0\0\0\0\x07\x02"),
        12 => typed(b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08"),
        13 => typed(b"\x1f\x8b\x08\0\0\0\0\0"),
        // More than a few of them a second would be half of the traffic.
        14 if number % LARGE == 14 => {
            typed(format!(r#"{{"orderId": "1", "amount": 1, "padding": "{}"}}"#, "x".repeat(1_100_000)).as_bytes())
        }
        14 => typed(b"{\"orderId\": \"cut off"),
        _ => typed("{\"orderId\": \"1\", \"amount\": \"viel\"}".as_bytes()),
    }
}

/// Waits until there are so many letters, and not one more.
async fn has_letters(world: &TestWorld, engine: &Engine, letters: i64) -> Result<()> {
    let dlq = world.installation.dlq();
    let counted = eventually("each poison record has its letter", SETTLED, || async {
        let found = world.kafka.count(dlq).await.unwrap_or_default();
        Ok((found >= letters).then_some(found))
    });
    let found = counted.await.with_context(|| engine.log_tail())?;
    ensure!(found == letters, "{found} letters of {letters} poison records");
    Ok(())
}

impl RoundFigures {
    /// Reads the ends of the round's sagas until all are there.
    async fn ended(&mut self, ends: &StreamConsumer, round: &str, good: u32) -> Result<()> {
        let mut last = BTreeMap::new();
        while self.spans_ms.len() < usize::try_from(good)? {
            let read = timeout(SETTLED, ends.recv()).await;
            let missing = || format!("{} of {good} sagas have ended", self.spans_ms.len());
            let message = read.with_context(missing)??;
            let event: serde_json::Value = serde_json::from_slice(message.payload().unwrap_or_default())?;
            let Some((id, sent_at)) = event["key"].as_str().and_then(|key| key.split_once('/')) else { continue };
            if !id.starts_with(&format!("{round}-")) || event["status"] != "completed" {
                continue;
            }
            let Timestamp::CreateTime(ended_at) = message.timestamp() else { continue };
            self.spans_ms.push(ended_at - sent_at.parse::<i64>()?);
            let before = last.insert(message.partition(), ended_at).unwrap_or(ended_at);
            let between = Duration::from_millis(u64::try_from(ended_at - before).unwrap_or_default());
            self.standstill = self.standstill.max(between);
        }
        self.spans_ms.sort_unstable();
        Ok(())
    }

    fn line(&self, poisoned: bool) -> String {
        let share = if poisoned { "1 %" } else { "none" };
        format!(
            "{share} | {} | {} | {} | {} | {} | {:?} | {}",
            u64::from(self.records) / ROUND.as_secs(),
            self.spans_ms.len(),
            percentile(&self.spans_ms, 50),
            percentile(&self.spans_ms, 99),
            self.spans_ms.last().copied().unwrap_or_default(),
            self.standstill,
            self.poison
        )
    }
}

/// Of numbers in their order; 0 of none.
fn percentile(sorted: &[i64], percent: usize) -> i64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
