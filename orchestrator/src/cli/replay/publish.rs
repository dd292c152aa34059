//! `replay publish`: recorded outcome or step events, sent to a topic once more.

mod progress;

use super::ReplayMeter;
use crate::{
    cli::{
        OutputFormat, output, recorded, selection,
        selection::{StartedSince, known_saga},
        store::StoreReadArgs,
    },
    startup,
    time_range::time_range,
};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum, builder::NonEmptyStringValueParser};
use indicatif::HumanCount;
use progress::{PublishProgress, PublishProgressFile};
use saga_core::state::SagaStatus;
use saga_engine::{
    act_log::ActedPart,
    archiving::left,
    replay::publish::{
        self, PublishEnd, PublishFailure, PublishFilter, PublishKind, PublishReport, PublishRequest, PublishTarget,
        RecordRate,
    },
};
use saga_event_store::{EventStore, StoreError};
use saga_kafka::{
    EndOffsetReader, KafkaProducer,
    settings::{BrokerKind, KafkaSettings},
};
use serde::Serialize;
use std::{path::Path, process::ExitCode, sync::Arc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Arguments of `saga replay publish`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PublishEventsArgs {
    /// Topic to send to; it has to exist
    #[arg(long, value_name = "TOPIC", value_parser = NonEmptyStringValueParser::new(), required_unless_present = "resume")]
    topic: Option<String>,
    /// Which events
    #[arg(long, value_enum, default_value_t)]
    what: PublishedEvents,
    /// Only sagas of this definition
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    saga: Option<String>,
    /// Only sagas with one of these statuses, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = selection::status)]
    status: Vec<SagaStatus>,
    /// Only sagas that started then or later: a time (RFC 3339), or how long ago, like 7d
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<StartedSince>,
    /// Only sagas that started before: a time (RFC 3339), or how long ago
    #[arg(long, value_name = "TIME|DURATION")]
    until: Option<StartedSince>,
    /// Only the sagas with this business key
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,
    /// Send the records; without it the command only counts them
    #[arg(long)]
    send: bool,
    /// Records per second at most, like 500/s. With --resume it changes the rate of the run [default: as fast as the
    /// broker takes them; with --resume the rate that the run has]
    #[arg(long, value_name = "N/s")]
    rate: Option<RecordRate>,
    /// Go on with a run that was interrupted. Its topic and its filter are in its file saga-replay-RUN.json in this
    /// folder
    #[arg(long, value_name = "RUN", conflicts_with_all = ["topic", "what", "saga", "status", "since", "until", "key", "send"])]
    resume: Option<Uuid>,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// Which events are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum PublishedEvents {
    /// The outcome events of sagas, as they were published
    #[default]
    Outcome,
    /// One record for each event of a step
    Steps,
}

/// The output: what would be sent, or what was.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublishOutput<'a> {
    run: String,
    topic: &'a str,
    status: PublishStatus,
    /// Records that earlier commands of this run have sent.
    #[serde(skip_serializing_if = "is_zero")]
    sent_before: u64,
    /// Sagas in archives, at most, that may fit the filter and are left out.
    #[serde(skip_serializing_if = "is_zero")]
    archived: u64,
    #[serde(flatten)]
    report: &'a PublishReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum PublishStatus {
    DryRun,
    Done,
    Interrupted,
    Failed,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

pub(super) async fn publish(args: PublishEventsArgs) -> anyhow::Result<ExitCode> {
    let folder = Path::new(".");
    match args.resume {
        Some(run) => {
            let (file, progress) = PublishProgressFile::read(folder, run)?;
            if progress.done {
                bail!("run {run} is done: it sent {} records", progress.records);
            }
            let progress = PublishProgress { rate: args.rate.or(progress.rate), ..progress };
            let way = PublishWay::open(&args, &progress).await?;
            send(&args, way, file, progress).await
        }
        None if args.send => {
            let progress = PublishProgress::new(Uuid::new_v4(), topic(&args)?, filter(&args)?, args.rate);
            let way = PublishWay::open(&args, &progress).await?;
            // Not before everything is checked: a run that is refused leaves no file.
            let file = PublishProgressFile::create(folder, &progress)?;
            send(&args, way, file, progress).await
        }
        None => dry_run(&args).await,
    }
}

/// Where a run reads, and where it sends.
struct PublishWay {
    store: Arc<dyn EventStore>,
    target: PublishTarget,
    /// Sagas that are in archives, at most, and may fit the filter.
    archived: u64,
}

impl PublishWay {
    /// # Errors
    /// When the run cannot begin: the topic is not there or not for it, or the store or Kafka does not answer.
    async fn open(args: &PublishEventsArgs, progress: &PublishProgress) -> anyhow::Result<PublishWay> {
        refuse_own_topics(args, &progress.topic)?;
        let config = args.store.config()?;
        let store = args.store.open().await?;
        known_filter(store.as_ref(), &progress.filter).await?;
        let archived = archived(store.as_ref(), &progress.filter).await?;
        let settings = startup::kafka_settings(&config, BrokerKind::Real)?;
        require_topic(&settings, &progress.topic).await?;
        let producer = KafkaProducer::start(&settings).context("cannot start the producer of Kafka")?;
        Ok(PublishWay { store, target: PublishTarget::new(producer), archived })
    }
}

/// A topic that is not there would be noticed at the first record only, after the client's own wait.
async fn require_topic(settings: &KafkaSettings, topic: &str) -> anyhow::Result<()> {
    if !is_there(settings, topic).await? {
        bail!("{}; nothing was sent\nhint: create it first", no_topic(topic));
    }
    Ok(())
}

async fn is_there(settings: &KafkaSettings, topic: &str) -> anyhow::Result<bool> {
    let reader = EndOffsetReader::connect(settings).context("cannot start the client of Kafka")?;
    let partitions = reader.partitions(&Arc::from(topic)).await;
    Ok(!partitions.with_context(|| format!("Kafka does not say whether the topic {topic} is there"))?.is_empty())
}

fn no_topic(topic: &str) -> String {
    format!("there is no topic `{topic}`, or this program may not see it")
}

async fn known_filter(store: &dyn EventStore, filter: &PublishFilter) -> anyhow::Result<()> {
    match &filter.saga {
        Some(saga) => known_saga(store, saga).await,
        None => Ok(()),
    }
}

async fn archived(store: &dyn EventStore, filter: &PublishFilter) -> anyhow::Result<u64> {
    Ok(left::count_at_most(store, filter.saga.as_deref(), (filter.since, filter.until)).await?)
}

fn topic(args: &PublishEventsArgs) -> anyhow::Result<String> {
    args.topic.clone().context("--topic names the topic")
}

fn filter(args: &PublishEventsArgs) -> anyhow::Result<PublishFilter> {
    let (since, until) = time_range(args.since.map(|since| since.0), args.until.map(|until| until.0))?;
    Ok(PublishFilter {
        what: match args.what {
            PublishedEvents::Outcome => PublishKind::Outcome,
            PublishedEvents::Steps => PublishKind::Steps,
        },
        saga: args.saga.clone(),
        status: args.status.clone(),
        since,
        until,
        key: args.key.clone(),
    })
}

async fn dry_run(args: &PublishEventsArgs) -> anyhow::Result<ExitCode> {
    let (topic, filter) = (topic(args)?, filter(args)?);
    refuse_own_topics(args, &topic)?;
    let store = args.store.open().await?;
    known_filter(store.as_ref(), &filter).await?;
    let archived = archived(store.as_ref(), &filter).await?;
    let wanted = PublishRequest { filter, topic: Arc::from(topic.as_str()), run: "dry-run".to_owned(), after: None };
    let meter = ReplayMeter::spinner("found");
    let report = publish::count(store, &wanted, |report| meter.count(report.records)).await;
    let report = report.context("the event store was not read to its end")?;
    meter.end();
    let (run, status) = (wanted.run.clone(), PublishStatus::DryRun);
    let told = PublishOutput { run, topic: &topic, status, sent_before: 0, archived, report: &report, failure: None };
    output::one(&told, args.output, told_text)?;
    let would_be_refused = is_missing(args, &topic).await?;
    Ok(ExitCode::from(u8::from(would_be_refused || !report.unreadable.is_empty())))
}

/// Whether `--send` would be refused, because its topic is not there; without Kafka nobody knows.
async fn is_missing(args: &PublishEventsArgs, topic: &str) -> anyhow::Result<bool> {
    let settings = startup::kafka_settings(&args.store.config()?, BrokerKind::Real)?;
    match is_there(&settings, topic).await {
        Ok(true) => Ok(false),
        Ok(false) => {
            output::note(&format!("{}: --send would be refused\nhint: create it first", no_topic(topic)));
            Ok(true)
        }
        Err(error) => {
            output::note(&format!("{error:#}"));
            Ok(false)
        }
    }
}

/// The run reads the store; only its record is written.
async fn on_record(args: &PublishEventsArgs, topic: &str, run: &str) -> anyhow::Result<()> {
    match args.store.open_to_write().await? {
        Ok(store) => {
            let action = format!("publish events again, run {run}");
            recorded::act(store.as_ref(), &action, ActedPart::Topic, topic).await
        }
        Err(StoreError::Locked { .. }) => {
            output::note("an engine has the file of the event store, so this run is not in the audit");
            Ok(())
        }
        Err(error) => {
            let said = "the run cannot be put on record, so nothing was sent (key `store`)";
            Err(anyhow::Error::new(error).context(said))
        }
    }
}

async fn send(
    args: &PublishEventsArgs,
    PublishWay { store, target, archived }: PublishWay,
    mut file: PublishProgressFile,
    mut progress: PublishProgress,
) -> anyhow::Result<ExitCode> {
    on_record(args, &progress.topic, &progress.run.to_string()).await?;
    let wanted = PublishRequest {
        filter: progress.filter.clone(),
        topic: Arc::from(progress.topic.as_str()),
        run: progress.run.to_string(),
        after: progress.after,
    };
    output::note(&format!("run {}: its progress is in {}", progress.run, file.path().display()));
    let (before, stop) = (progress.records, stopped_by_ctrl_c());
    let meter = ReplayMeter::spinner("sent");
    let pace = (&target, progress.rate);
    let published = publish::publish(store, &wanted, pace, &stop, |saga, report| {
        meter.count(before + report.records);
        progress.moves_to(saga, before + report.records);
        file.keep(&progress)
    });
    let ended = published.await;
    meter.end();
    // What was sent before an error is kept, too.
    let (report, end) = ended.inspect_err(|_| drop(file.flush(&progress))).with_context(|| resumed(progress.run))?;
    progress.done = matches!(end, PublishEnd::Done);
    file.flush(&progress).context("the progress of the run cannot be written")?;
    told(args, &progress, (before, archived), &report, &end)
}

fn told(
    args: &PublishEventsArgs,
    progress: &PublishProgress,
    (before, archived): (u64, u64),
    report: &PublishReport,
    end: &PublishEnd,
) -> anyhow::Result<ExitCode> {
    let (status, failure) = match end {
        PublishEnd::Done => (PublishStatus::Done, None),
        PublishEnd::Stopped => (PublishStatus::Interrupted, None),
        PublishEnd::Failed(failure) => (PublishStatus::Failed, Some(failure.to_string())),
    };
    let (run, topic) = (progress.run.to_string(), progress.topic.as_str());
    let told = PublishOutput { run, topic, status, sent_before: before, archived, report, failure };
    output::one(&told, args.output, told_text)?;
    match end {
        PublishEnd::Done => return Ok(ExitCode::from(u8::from(!report.unreadable.is_empty()))),
        PublishEnd::Stopped | PublishEnd::Failed(PublishFailure { is_permanent: false, .. }) => {
            output::note(&resumed(progress.run));
        }
        PublishEnd::Failed(PublishFailure { is_permanent: true, .. }) => {
            output::note(
                "hint: the topic never takes this record: raise its max.message.bytes, or leave its saga out by the filter",
            );
            output::note(&resumed(progress.run));
        }
    }
    Ok(ExitCode::from(1))
}

fn resumed(run: Uuid) -> String {
    format!(
        "hint: `saga replay publish --resume {run}` goes on; records that were on their way may be sent again, under the \
         same ce_id"
    )
}

/// The first Ctrl-C ends the run in good order: what is on its way is awaited. A second one ends the process.
#[expect(
    clippy::disallowed_methods,
    reason = "the operator asked a second time; --resume sends again what was on its way"
)]
fn stopped_by_ctrl_c() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            output::note("stopping: what is on its way is awaited; Ctrl-C again ends at once");
            told.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(1);
        }
    });
    stop
}

/// Engines read these topics, and what they read there has other meanings.
fn refuse_own_topics(args: &PublishEventsArgs, topic: &str) -> anyhow::Result<()> {
    let config = args.store.config()?;
    if config.topics.reserved().iter().any(|own| own.topic == topic) {
        bail!("`{topic}` is a topic of the engine\nhint: name a topic of your own with --topic");
    }
    if config.formats.avro(topic).is_some() {
        bail!(
            "`{topic}` takes Avro (key `topics.formats`), and events are published once more in JSON\n\
             hint: name a topic without this format with --topic"
        );
    }
    Ok(())
}

fn told_text(told: &PublishOutput<'_>) -> String {
    let PublishOutput { run, topic, status, sent_before, archived, report, failure } = told;
    let (records, sagas) = (HumanCount(report.records), HumanCount(report.sagas));
    let head = match status {
        PublishStatus::DryRun => format!("would send {records} records of {sagas} sagas to {topic}"),
        PublishStatus::Done => format!("sent {records} records of {sagas} sagas to {topic}; run {run} is done"),
        PublishStatus::Interrupted => {
            format!("sent {records} records of {sagas} sagas to {topic}; run {run} was stopped")
        }
        PublishStatus::Failed => format!("sent {records} records of {sagas} sagas to {topic}; run {run} failed"),
    };
    let before = match sent_before {
        0 => String::new(),
        before => format!("\n{} records were sent before", HumanCount(*before)),
    };
    let types = report.by_type.iter().map(|(kind, records)| format!("\n  {} {kind}", HumanCount(*records)));
    let mark = |name: &str, mark: &Option<publish::PublishedMark>| {
        let mark = mark.as_ref()?;
        Some(format!("\n{name}  {} of {}, key {}, {}", mark.event_id, mark.saga, mark.key, mark.at))
    };
    let marks = [mark("first", &report.first), mark("last ", &report.last)].into_iter().flatten().collect::<String>();
    let unreadable = report.unreadable.iter().map(|saga| format!("\nleft out, because it cannot be read: {saga}"));
    let left_out = [
        (report.erased, format!("\nleft out: {} sagas that are erased", HumanCount(report.erased))),
        (
            *archived,
            format!(
                "\nleft out: the sagas in archives, up to {} that fit; `saga list --archived` lists them",
                HumanCount(*archived)
            ),
        ),
    ];
    let left_out: String = left_out.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    let failure = failure.as_ref().map(|failure| format!("\n{failure}")).unwrap_or_default();
    let hint = if *status == PublishStatus::DryRun { "\nNothing was sent; --send sends" } else { "" };
    let types = types.collect::<String>();
    crate::visible::in_lines(&format!(
        "{head}{before}{types}{marks}{left_out}{}{failure}{hint}",
        unreadable.collect::<String>()
    ))
    .into_owned()
}
