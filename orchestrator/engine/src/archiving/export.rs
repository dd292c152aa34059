//! Writes the sagas of a period to a file.

use super::{ArchivePass, ArchivingError, blocking, is_in, rules::PeriodRules};
use crate::journal::{PORTION_BYTES, texts_of};
use saga_event_store::{
    ArchiveContent, MAX_PAGE, RowPosition, StartPeriod, StreamRow, StreamStanding,
    archive::{ArchiveFile, ArchiveWriter, ArchivedDocument, ArchivedStream, FinishedArchive},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// Rows of one page.
const PAGE_ROWS: u32 = 4_096;
/// Sagas of one page, where they are chosen before they are read.
const PAGE_SAGAS: u32 = 1_000;
/// The most sagas that leave by deletes into one file, so that what is remembered of them stays small.
const MOST_IN_FILE: u64 = 250_000;

/// A file that is whole, and what is not in it.
#[derive(Debug, Default)]
pub(super) struct ExportedPeriod {
    pub(super) content: ArchiveContent,
    /// Sagas of the partition that stay.
    pub(super) kept: Vec<Uuid>,
    /// Sagas that leave, with their last versions, by shard.
    pub(super) leaving: BTreeMap<u16, Vec<(Uuid, u32)>>,
}

/// All sagas of a partition, in the order of their rows: what the journal has and no rule lets leave stays.
pub(super) async fn partition(
    pass: &ArchivePass,
    holder: Uuid,
    number: i64,
    period: StartPeriod,
    rules: &PeriodRules,
) -> Result<ExportedPeriod, ArchivingError> {
    let mut export = PeriodExport::new(pass, number, rules);
    let mut after = RowPosition { stream: first_stream(period), version: 0 };
    let mut begun: Vec<(Uuid, StreamRow)> = Vec::new();
    loop {
        let mut page = pass.store.scan_stored(after, PAGE_ROWS, PORTION_BYTES).await?;
        let read = page.len();
        page.retain(|(stream, _)| is_in(period, *stream));
        let is_over = page.len() < read || read == 0;
        if let Some((stream, row)) = page.last() {
            after = RowPosition { stream: *stream, version: row.version };
        }
        begun.extend(page);
        let last = begun.last().map(|(stream, _)| *stream).filter(|_| !is_over);
        let rest = begun.split_off(begun.partition_point(|(stream, _)| Some(*stream) != last));
        export.take(std::mem::replace(&mut begun, rest)).await?;
        pass.store.lease_archiving(holder).await?;
        if is_over {
            return export.end().await;
        }
    }
}

/// The next sagas of a period that leave, as many as one file takes.
pub(super) async fn portion(
    pass: &ArchivePass,
    holder: Uuid,
    number: i64,
    period: StartPeriod,
    rules: &PeriodRules,
) -> Result<ExportedPeriod, ArchivingError> {
    let mut export = PeriodExport::new(pass, number, rules);
    let mut after = Uuid::nil();
    while export.sagas < MOST_IN_FILE {
        let page = pass.store.leaving(period, &rules.all, after, PAGE_SAGAS).await?;
        let Some(last) = page.last() else { break };
        after = last.summary.stream;
        let mut left: Vec<Uuid> = page.iter().map(|it| it.summary.stream).collect();
        while !left.is_empty() {
            let batch = pass.store.read_stored_within(&left, PORTION_BYTES).await?;
            left = batch.left;
            export.take(batch.rows).await?;
        }
        pass.store.lease_archiving(holder).await?;
    }
    export.end().await
}

fn first_stream(period: StartPeriod) -> Uuid {
    Uuid::from_u128(u128::from(period.from_ms.unsigned_abs()) << 80)
}

struct PeriodExport<'a> {
    pass: &'a ArchivePass,
    number: i64,
    rules: &'a PeriodRules,
    writer: Option<ArchiveWriter>,
    exported: ExportedPeriod,
    categories: BTreeSet<String>,
    sagas: u64,
}

impl<'a> PeriodExport<'a> {
    fn new(pass: &'a ArchivePass, number: i64, rules: &'a PeriodRules) -> PeriodExport<'a> {
        let exported = ExportedPeriod::default();
        PeriodExport { pass, number, rules, writer: None, exported, categories: BTreeSet::new(), sagas: 0 }
    }

    /// Takes the rows of whole sagas.
    async fn take(&mut self, rows: Vec<(Uuid, StreamRow)>) -> Result<(), ArchivingError> {
        let mut sagas: Vec<(Uuid, Vec<StreamRow>)> = Vec::new();
        for (stream, row) in rows {
            match sagas.last_mut() {
                Some((last, rows)) if *last == stream => rows.push(row),
                Some(_) | None => sagas.push((stream, vec![row])),
            }
        }
        let ids: Vec<Uuid> = sagas.iter().map(|(stream, _)| *stream).collect();
        let mut standings = HashMap::new();
        for page in ids.chunks(MAX_PAGE as usize) {
            let page = self.pass.store.standings(page).await?;
            standings.extend(page.into_iter().map(|it| (it.summary.stream, it)));
        }
        let mut streams = Vec::new();
        for (stream, rows) in sagas {
            match standings.remove(&stream).filter(|it| self.rules.lets_leave(it)) {
                Some(standing) => streams.extend(self.leave(standing, rows)),
                None => self.exported.kept.push(stream),
            }
        }
        self.write(streams).await
    }

    /// Notes that a saga leaves; returns it if it goes to the file.
    fn leave(&mut self, it: StreamStanding, rows: Vec<StreamRow>) -> Option<ArchivedStream> {
        let StreamStanding { summary, shard, .. } = it;
        let last = rows.last().map_or(0, |row| row.version);
        self.sagas += 1;
        self.exported.leaving.entry(shard).or_default().push((summary.stream, last));
        let content = &mut self.exported.content;
        content.newest_ms = content.newest_ms.max(Some(summary.updated_at_ms));
        let is_archived = self.rules.is_archived(&summary.category);
        self.categories.insert(summary.category.clone());
        if !is_archived {
            content.dropped += 1;
            return None;
        }
        Some(ArchivedStream { summary, shard, rows })
    }

    async fn write(&mut self, streams: Vec<ArchivedStream>) -> Result<(), ArchivingError> {
        if streams.is_empty() {
            return Ok(());
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.create().await?,
        };
        let mut texts = Vec::with_capacity(streams.len());
        for stream in &streams {
            texts.push(self.texts(&writer, stream).await?);
        }
        let written = blocking(move || {
            for (stream, texts) in streams.iter().zip(texts) {
                texts.into_iter().for_each(|text| writer.add_document(text));
                writer.add(stream)?;
            }
            Ok::<_, saga_event_store::archive::ArchiveError>(writer)
        });
        self.writer = Some(written.await??);
        Ok(())
    }

    async fn create(&self) -> Result<ArchiveWriter, ArchivingError> {
        let path = self.pass.path(self.number).ok_or_else(|| ArchivingError::NoFolder("these".to_owned()))?;
        let (installation, number) = (self.pass.store.identity().installation, self.number);
        let now_ms = self.pass.clock.now().0;
        Ok(blocking(move || ArchiveWriter::create(&path, installation, number, now_ms)).await??)
    }

    /// The texts that the saga runs by, unless the file has them. A text that the store does not have is missing in the
    /// file as well: the saga could not be read before, either.
    async fn texts(
        &self,
        writer: &ArchiveWriter,
        stream: &ArchivedStream,
    ) -> Result<Vec<ArchivedDocument>, ArchivingError> {
        let mut texts = Vec::new();
        for (kind, hash) in texts_of(&stream.summary, &stream.rows) {
            if writer.has_document(kind, &hash) {
                continue;
            }
            if let Some(text) = self.pass.store.get_document(kind, &hash).await? {
                texts.push(ArchivedDocument { kind: kind.to_owned(), hash, text });
            }
        }
        Ok(texts)
    }

    /// Ends the file, and reads it again before anything leaves the store.
    async fn end(mut self) -> Result<ExportedPeriod, ArchivingError> {
        self.exported.content.categories = self.categories.into_iter().collect();
        let Some(writer) = self.writer else { return Ok(self.exported) };
        let finished = blocking(move || {
            let finished = writer.finish()?;
            proved(&finished)?;
            Ok::<_, saga_event_store::archive::ArchiveError>(finished)
        });
        let finished = finished.await??;
        let content = &mut self.exported.content;
        content.file = finished.path.file_name().map(|name| name.to_string_lossy().into_owned());
        (content.streams, content.rows, content.bytes) = (finished.sagas, finished.rows, finished.bytes);
        content.sha256 = Some(finished.sha256);
        Ok(self.exported)
    }
}

/// Reads the whole file back: its sum, and every saga.
pub(super) fn proved(finished: &FinishedArchive) -> Result<(), saga_event_store::archive::ArchiveError> {
    let file = ArchiveFile::open(&finished.path)?;
    file.check()?;
    file.streams().try_for_each(|block| block.map(drop))
}
