//! `events`: the feed of all events.

use super::{OutputFormat, output, selection::known_saga, store::StoreReadArgs};
use clap::Args;
use saga_base::clock::EngineClock;
use saga_engine::feed::{EventFilter, EventPage, FeedEvent, FeedReader, FeedStart, check_event_type};
use saga_event_store::PositionSyntaxError;
use std::{process::ExitCode, time::Duration};

/// Time between two looks for new events.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Events of one read.
const PORTION: u32 = 500;

/// Arguments of `saga events`.
#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// Begin after this event: a cursor, or `oldest` or `newest`
    #[arg(long, value_name = "CURSOR", default_value = "oldest", value_parser = start)]
    after: FeedStart,
    /// Most events [default: 100; with --follow all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Wait for new events, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// Only events of sagas of this definition
    #[arg(long, value_name = "NAME")]
    saga: Option<String>,
    /// Only events of this type, for example sagaEnded
    #[arg(long = "type", value_name = "TYPE", value_parser = event_type)]
    kind: Option<String>,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

fn start(text: &str) -> Result<FeedStart, PositionSyntaxError> {
    text.parse()
}

fn event_type(text: &str) -> Result<String, saga_engine::feed::UnknownEventType> {
    check_event_type(text).map(|()| text.to_owned())
}

pub(super) async fn events(args: EventsArgs) -> anyhow::Result<ExitCode> {
    let store = args.store.open().await?;
    if let Some(saga) = &args.saga {
        known_saga(store.as_ref(), saga).await?;
    }
    let reader = FeedReader::new(store);
    let filter = EventFilter { saga: args.saga.clone(), kind: args.kind.clone() };
    let mut left = args.limit.unwrap_or(if args.follow { u64::MAX } else { 100 });
    let (clock, mut at) = (EngineClock::Wall, reader.begin(args.after).await?);
    loop {
        let portion = u32::try_from(left).unwrap_or(PORTION).min(PORTION);
        let page = reader.page(at, portion, &filter, clock.now()).await?;
        at = page.next;
        left -= page.events.len() as u64;
        if !print(&page, args.output)? {
            return Ok(ExitCode::SUCCESS);
        }
        if left == 0 || !args.follow && !page.more {
            note_the_rest(&page, args.follow);
            return Ok(ExitCode::SUCCESS);
        }
        if !page.more {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// Prints the events; false: the reader of stdout has closed it.
fn print(page: &EventPage, format: OutputFormat) -> anyhow::Result<bool> {
    for event in &page.events {
        if !output::next(event, format, line)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One line of the table. Its columns have a fixed width, because a follower does not know what comes.
fn line(event: &FeedEvent) -> String {
    let FeedEvent { cursor, id, key, version, index, at, kind, step, .. } = event;
    let (at, key, step) = (at.as_deref().unwrap_or("-"), key.as_deref().unwrap_or("-"), step.as_deref().unwrap_or(""));
    format!("{at:24}  {id}  {:>6}  {kind:19}  {step:16}  {key:20}  {cursor}", format!("{version}.{index}"))
}

fn note_the_rest(page: &EventPage, follows: bool) {
    if page.more && !follows {
        output::note(&format!("there are more events: --after {} goes on, --limit shows more", page.next));
    }
    if page.held_ms > 0 {
        output::note(&format!(
            "events of the last {} ms cannot be shown yet: an older transaction of the database server runs",
            page.held_ms
        ));
    }
}
