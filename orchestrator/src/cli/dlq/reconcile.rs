//! `dlq reconcile`: compares the DLQ topics, the table of dead letters and the event store, and writes nothing.
//!
//! Topics and rows are read side by side, a part of a partition at a time, so memory does not grow with either.

mod compare;
mod finding;
mod sagas;

use super::{
    source::{self, LetterSourceArgs},
    table,
};
use crate::{
    cli::OutputFormat,
    config::EngineConfig,
    dead_letters::{LetterJudge, LetterVerdict},
    startup,
};
use anyhow::Context;
use clap::Args;
use compare::{KeyHolding, PlaceFacts, PlaceStanding};
use finding::{LetterFinding, LetterFindings};
use saga_engine::letters::{letter_acts, letter_row, restored};
use saga_event_store::{
    EventStore, LetterCoordinates, LetterOrder, LetterPart, MAX_PAGE, StoredLetter, StoredLetterFilter,
};
use saga_kafka::{
    TopicPortionReader,
    settings::BrokerKind,
    topic_portions::{PortionEnd, TopicPortion, is_unknown_topic},
};
use saga_wire::{KafkaRecord, dead_letter::FoundLetter};
use sagas::StartedSagas;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    process::ExitCode,
    sync::Arc,
};

/// Offsets that are compared at once: some thousand rows are in memory.
const PORTION: i64 = 4_096;

/// Arguments of `saga dlq reconcile`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReconcileLettersArgs {
    #[command(flatten)]
    source: LetterSourceArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn reconcile(args: ReconcileLettersArgs) -> anyhow::Result<ExitCode> {
    let (config, store) = table::opened(&args.source).await?;
    let topics = topics(&args.source, &config, store.as_ref()).await?;
    let settings = startup::kafka_settings(&config, BrokerKind::Real)?;
    let mut run = LetterReconciliation {
        reader: TopicPortionReader::connect(&settings, &config.topics.dlq)?,
        sagas: StartedSagas::new(Arc::clone(&store), config.archive.folder.clone()),
        judge: source::judge(&config, &source::plans_if_any(&config)),
        findings: LetterFindings::new(args.output, &config.topics.dlq),
        store,
    };
    for topic in &topics {
        run.topic(topic).await?;
    }
    run.repeated().await?;
    run.findings.end()
}

/// The topic that is named; else those of the configuration, and those that the table has followed.
async fn topics(
    source: &LetterSourceArgs,
    config: &EngineConfig,
    store: &dyn EventStore,
) -> anyhow::Result<BTreeSet<String>> {
    let mut topics: BTreeSet<String> = source.topics(config).into_iter().collect();
    if source.asked().is_none() {
        topics.extend(store.letter_topics().await?);
    }
    Ok(topics)
}

/// The comparison under way.
struct LetterReconciliation {
    store: Arc<dyn EventStore>,
    reader: TopicPortionReader,
    /// `None`: the schemas of the configuration cannot be used.
    judge: Option<LetterJudge>,
    sagas: StartedSagas,
    findings: LetterFindings,
}

/// A partition, and the offset up to which the table has followed it.
struct FollowedPartition<'a> {
    topic: &'a str,
    partition: i32,
    position: i64,
}

impl FollowedPartition<'_> {
    fn place(&self, offset: i64) -> LetterCoordinates {
        LetterCoordinates { topic: self.topic.to_owned(), partition: self.partition, offset }
    }
}

impl LetterReconciliation {
    async fn topic(&mut self, topic: &str) -> anyhow::Result<()> {
        let positions = self.store.letter_positions(topic).await?;
        let positions: BTreeMap<i32, i64> = positions.into_iter().map(|(it, at)| (it, at.offset)).collect();
        self.reader.turn_to(topic);
        let extents = match self.reader.extents().await {
            // The rows of a topic that was deleted have no records.
            Err(error) if is_unknown_topic(&error) && !positions.is_empty() => BTreeMap::new(),
            found => {
                found.with_context(|| format!("the topic {topic} cannot be read (keys topics.dlq, topics.dlqOf)"))?
            }
        };
        let partitions: BTreeSet<i32> = positions.keys().chain(extents.keys()).copied().collect();
        for partition in partitions {
            let position = positions.get(&partition).copied().unwrap_or_default();
            let extent = extents.get(&partition).cloned().unwrap_or(i64::MAX..i64::MAX);
            self.partition(&FollowedPartition { topic, partition, position }, extent).await?;
        }
        Ok(())
    }

    async fn partition(&mut self, of: &FollowedPartition<'_>, extent: Range<i64>) -> anyhow::Result<()> {
        self.gone(of, 0..extent.start).await?;
        let (mut from, mut behind) = (extent.start, 0);
        while from < extent.end {
            let asked = from..extent.end.min(from + PORTION);
            let TopicPortion { records, covers } = self.reader.read(of.partition, asked, PortionEnd::Oldest).await?;
            behind += self.portion(of, records, from..covers.end).await?;
            from = covers.end;
        }
        if behind > 0 {
            let said = format!("{behind} records from here on have no row yet: the table has not followed so far");
            self.findings.add(LetterFinding::Behind, &of.place(of.position.max(extent.start)), None, &said)?;
        }
        // A topic that was made anew has fewer records than the table has followed.
        if of.position > extent.end {
            self.gone(of, extent.end..i64::MAX).await?;
        }
        Ok(())
    }

    /// Rows of a part of their partition that has no records.
    async fn gone(&mut self, of: &FollowedPartition<'_>, range: Range<i64>) -> anyhow::Result<()> {
        let mut after = 0;
        loop {
            let page = self.rows(of, &range, after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.number;
            self.sagas.expect(&page);
            for row in page {
                self.place(of, None, Some(row)).await?;
            }
            self.started_sagas().await?;
        }
    }

    /// Returns how many records the table has not come to.
    async fn portion(
        &mut self,
        of: &FollowedPartition<'_>,
        records: Vec<KafkaRecord>,
        range: Range<i64>,
    ) -> anyhow::Result<u64> {
        let (mut rows, mut after) = (BTreeMap::new(), 0);
        loop {
            let page = self.rows(of, &range, after).await?;
            let Some(last) = page.last() else { break };
            after = last.number;
            self.sagas.expect(&page);
            rows.extend(page.into_iter().map(|row| (row.place.offset, row)));
        }
        let mut behind = 0;
        for record in records {
            let row = rows.remove(&record.offset);
            behind += u64::from(self.place(of, Some(record), row).await? == PlaceStanding::Behind);
        }
        for row in rows.into_values() {
            self.place(of, None, Some(row)).await?;
        }
        self.started_sagas().await?;
        Ok(behind)
    }

    /// Compares what is at one place, and tells what differs.
    async fn place(
        &mut self,
        of: &FollowedPartition<'_>,
        record: Option<KafkaRecord>,
        row: Option<StoredLetter>,
    ) -> anyhow::Result<PlaceStanding> {
        let offset = record.as_ref().map(|record| record.offset).or(row.as_ref().map(|row| row.place.offset));
        let place = of.place(offset.unwrap_or_default());
        let facts = self.facts(of, &place, record, row).await?;
        let standing = facts.standing();
        if facts.record.is_some() && facts.row.is_some() {
            self.findings.compared();
        }
        if standing == PlaceStanding::Forgotten {
            self.findings.forgotten();
        }
        let letter = facts.row.as_ref().map(|row| &row.letter).or(facts.record.as_ref()).map(|it| it.id.as_str());
        for (finding, said) in facts.findings() {
            self.findings.add(finding, &place, letter, &said)?;
        }
        Ok(standing)
    }

    /// What is known of a place; the store is asked only where it matters.
    async fn facts(
        &self,
        of: &FollowedPartition<'_>,
        place: &LetterCoordinates,
        record: Option<KafkaRecord>,
        row: Option<StoredLetter>,
    ) -> anyhow::Result<PlaceFacts> {
        let there = record.as_ref().map(letter_row);
        let is_followed = place.offset < of.position;
        let mut facts = PlaceFacts { record: there, row, is_followed, ..PlaceFacts::default() };
        if let (Some(there), None, true) = (&facts.record, &facts.row, is_followed) {
            facts.has_acts = !letter_acts(self.store.as_ref(), &there.id, place).await?.is_empty();
        }
        if let (Some(record), Some(row)) = (&record, &facts.row)
            && facts.standing() == PlaceStanding::Agree
            && compare::is_asked(row)
        {
            facts.holdings = self.holdings(record).await?;
        }
        Ok(facts)
    }

    async fn rows(
        &self,
        of: &FollowedPartition<'_>,
        range: &Range<i64>,
        after: i64,
    ) -> anyhow::Result<Vec<StoredLetter>> {
        let filter = StoredLetterFilter {
            topic: Some(of.topic.to_owned()),
            part: Some(LetterPart { partition: of.partition, from: range.start, to: range.end }),
            after: Some(after),
            limit: MAX_PAGE,
            ..StoredLetterFilter::default()
        };
        Ok(self.store.letters(&filter, LetterOrder::Oldest).await?)
    }

    /// The sagas that have a business key of the record, by the definitions in the files.
    async fn holdings(&self, record: &KafkaRecord) -> anyhow::Result<Vec<KeyHolding>> {
        let (Some(judge), Ok(letter)) = (&self.judge, FoundLetter::read(record)) else { return Ok(Vec::new()) };
        let judged = judge.judge(&letter, &restored(&letter, letter.original.clone())).await;
        let mut holdings = Vec::new();
        for verdict in judged.verdicts {
            let (saga, key) = match verdict {
                LetterVerdict::Start { saga, key } => (saga, key),
                LetterVerdict::Answer { .. }
                | LetterVerdict::Unwanted { .. }
                | LetterVerdict::Poison { .. }
                | LetterVerdict::NotJudged { .. }
                | LetterVerdict::Unknown { .. } => continue,
            };
            if let Some(holder) = self.store.key_holder(&saga, &key).await? {
                holdings.push(KeyHolding { key, saga: holder.stream.to_string() });
            }
        }
        Ok(holdings)
    }

    async fn started_sagas(&mut self) -> anyhow::Result<()> {
        for ((place, letter, saga), standing) in self.sagas.left().await? {
            if let Some((finding, said)) = compare::of_started(saga, &standing) {
                self.findings.add(finding, &place, Some(&letter), &said)?;
            }
        }
        Ok(())
    }

    /// Records that died more than once, and of which more than one letter is open.
    async fn repeated(&mut self) -> anyhow::Result<()> {
        let mut after = String::new();
        loop {
            let page = self.store.repeated_letters(&after, MAX_PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for repeated in page.iter().filter(|repeated| repeated.open > 1) {
                let filter = StoredLetterFilter { id: Some(repeated.id.clone()), limit: 10, ..Default::default() };
                let rows = self.store.letters(&filter, LetterOrder::Oldest).await?;
                let places: Vec<String> = rows.iter().map(|row| self.findings.place(&row.place)).collect();
                if let (Some(first), Some((finding, said))) = (rows.first(), compare::of_repeated(repeated, &places)) {
                    self.findings.add(finding, &first.place, Some(&repeated.id), &said)?;
                }
            }
        }
    }
}
