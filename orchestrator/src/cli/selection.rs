//! Options that choose sagas by what they have in common.

use anyhow::bail;
use clap::{Args, builder::NonEmptyStringValueParser};
use saga_base::clock::EngineClock;
use saga_core::{
    definition,
    incident::IncidentKind,
    state::{SagaStatus, SagaStatusError},
    time::{Timestamp, from_rfc3339, rfc3339},
};
use saga_engine::{
    journal::{
        PlanCache, UnknownFilterName,
        reading::{GuardFilter, SagaQuery},
    },
    naming,
};
use saga_event_store::EventStore;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, str::FromStr, time::Duration};

/// Options that choose sagas; a saga is chosen if it fits all of them.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct SelectionArgs {
    /// Only sagas with one of these statuses, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = status)]
    pub(super) status: Vec<SagaStatus>,
    /// Only sagas of this definition
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) saga: Option<String>,
    /// Only sagas that wait at this step, are parked because of it, or were compensated because of it
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) step: Option<String>,
    /// Only sagas with this failure code: `http.422`
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(super) code: Option<String>,
    /// Only sagas whose status, step and reason have not changed for longer than this: 15m, 2h, 7d
    #[arg(long, value_name = "DURATION", value_parser = span)]
    pub(super) older_than: Option<DurationArg>,
    /// Only sagas that started within this time: 15m, 2h, 7d
    #[arg(long, value_name = "DURATION", value_parser = span)]
    pub(super) started_within: Option<DurationArg>,
    /// Only sagas that started at this time or later: 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) started_after: Option<Timestamp>,
    /// Only sagas that started before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) started_before: Option<Timestamp>,
    /// Only sagas that ended at this time or later
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) ended_after: Option<Timestamp>,
    /// Only sagas that ended before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) ended_before: Option<Timestamp>,
    /// Only sagas whose reason has this text in it
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(super) reason_has: Option<String>,
    /// Only sagas that have this text in their key, definition's name, step, code or reason
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(super) text: Option<String>,
    /// Only sagas that a guard holds back: `payments`, `breaker:payments`, or `breaker:`
    #[arg(long, value_name = "[GUARD:]PARTICIPANT")]
    pub(super) waiting_on: Option<GuardFilter>,
    /// Only sagas with incidents, which an operator should look at
    #[arg(long)]
    pub(super) incidents: bool,
    /// Only sagas with an incident of this kind
    #[arg(long, value_name = "KIND", value_parser = incident)]
    pub(super) incident: Option<IncidentKind>,
}

impl SelectionArgs {
    /// The options as they were given, with their values; a flag has an empty value.
    pub(super) fn options(&self) -> Vec<(&'static str, String)> {
        let statuses: Vec<&str> = self.status.iter().map(|status| status.as_str()).collect();
        let span = |span: &Option<DurationArg>| span.as_ref().map(|span| span.text.clone());
        let options = [
            ("--status", (!statuses.is_empty()).then(|| statuses.join(","))),
            ("--saga", self.saga.clone()),
            ("--step", self.step.clone()),
            ("--code", self.code.clone()),
            ("--older-than", span(&self.older_than)),
            ("--started-within", span(&self.started_within)),
            ("--started-after", self.started_after.map(rfc3339)),
            ("--started-before", self.started_before.map(rfc3339)),
            ("--ended-after", self.ended_after.map(rfc3339)),
            ("--ended-before", self.ended_before.map(rfc3339)),
            ("--reason-has", self.reason_has.clone()),
            ("--text", self.text.clone()),
            ("--waiting-on", self.waiting_on.as_ref().map(ToString::to_string)),
            ("--incidents", self.incidents.then(String::new)),
            ("--incident", self.incident.map(|kind| kind.as_str().to_owned())),
        ];
        options.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The filter for the API; `goes_by` is the beginning of the hash of a definition.
    pub(super) fn filter(&self, goes_by: Option<&str>) -> Value {
        let mut filter = Map::new();
        for (option, value) in self.options() {
            let value = if option == "--incidents" { Value::Bool(true) } else { Value::String(value) };
            filter.insert(camel_case(option), value);
        }
        if let Some(goes_by) = goes_by {
            filter.insert("definition".to_owned(), goes_by.into());
        }
        Value::Object(filter)
    }

    /// The query for the store.
    pub(super) fn wanted(&self) -> SagaQuery {
        SagaQuery {
            statuses: self.status.clone(),
            saga: self.saga.clone(),
            step: self.step.clone(),
            code: self.code.clone(),
            since_before: self.older_than.as_ref().map(DurationArg::ago),
            started_from: self.started_within.as_ref().map(DurationArg::ago).max(self.started_after),
            started_before: self.started_before,
            ended_from: self.ended_after,
            ended_before: self.ended_before,
            reason: self.reason_has.clone(),
            text: self.text.clone(),
            waiting_on: self.waiting_on.clone(),
            incidents: self.incidents,
            incident: self.incident,
            ..SagaQuery::default()
        }
    }
}

/// A mistyped name of a definition is an error, instead of an empty answer.
///
/// # Errors
/// When no saga of the store and of its archives is of a definition with this name, and no engine published one.
pub(super) async fn known_saga(store: &dyn EventStore, name: &str) -> anyhow::Result<()> {
    known(naming::unknown_saga(store, &PlanCache::default(), name).await?)
}

/// The same of a name among those that `known` has.
pub(super) fn known_among(known_names: &BTreeSet<String>, name: &str) -> anyhow::Result<()> {
    known(naming::unknown_saga_among(known_names, name))
}

fn known(unknown: Option<UnknownFilterName>) -> anyhow::Result<()> {
    unknown.map_or(Ok(()), |unknown| {
        bail!("{unknown}\nhint: `saga definitions used` shows the definitions that have sagas")
    })
}

/// A span of time, with its text as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DurationArg {
    text: String,
    span: Duration,
}

impl DurationArg {
    fn ago(&self) -> Timestamp {
        EngineClock::Wall.now().minus(self.span)
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    from_rfc3339(text).ok_or_else(|| format!("`{text}` is no time: write 2026-01-31T12:00:00Z"))
}

fn span(text: &str) -> Result<DurationArg, String> {
    definition::span(text).map(|span| DurationArg { text: text.to_owned(), span })
}

/// A time, typed as RFC 3339 or as how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StartedSince(pub(super) Timestamp);

impl FromStr for StartedSince {
    type Err = String;

    fn from_str(text: &str) -> Result<StartedSince, String> {
        let ago = || definition::span(text).ok().map(|span| EngineClock::Wall.now().minus(span));
        let time = from_rfc3339(text).or_else(ago).map(StartedSince);
        time.ok_or_else(|| format!("`{text}` is no time: write 2026-01-31T12:00:00Z, or how long ago, like 7d or 12h"))
    }
}

/// An option's name as the API has it: `--older-than` is `olderThan`.
fn camel_case(option: &str) -> String {
    let mut words = option.trim_start_matches('-').split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        format!("{text}{}{rest}", initial.to_ascii_uppercase())
    })
}

pub(super) fn status(text: &str) -> Result<SagaStatus, String> {
    text.parse().map_err(|error: SagaStatusError| error.to_string())
}

fn incident(word: &str) -> Result<IncidentKind, String> {
    let words = IncidentKind::ALL.map(IncidentKind::as_str);
    IncidentKind::parse(word).ok_or_else(|| {
        let guess = definition::or_did_you_mean(word, words);
        format!("expected one of {}{guess}", words.join(", "))
    })
}
