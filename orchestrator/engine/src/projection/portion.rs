//! Rows of journals, decoded for projections, with what is known of their sagas.

use super::ProjectedEvent;
use crate::journal::{self, PlanCache, PlanError};
use saga_core::{event::SagaDecision, id::SagaId, time::Timestamp};
use saga_event_store::{JournalReader, StoreError, StreamRow, StreamSummary};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// Rows that cannot be read have a row under this prefix and their saga and version, so that people see what is
/// missing.
const UNREADABLE: &str = "!unreadable/";

/// Decisions in the order in which they are applied.
#[derive(Default)]
pub(super) struct DecodedPortion {
    decisions: Vec<(SagaId, SagaDecision)>,
    summaries: HashMap<Uuid, StreamSummary>,
    /// Names of the steps, by hash of the definition.
    steps: HashMap<String, Vec<String>>,
    /// Why rows cannot be read, by the key of the row that says so.
    pub(super) unreadable: HashMap<String, String>,
}

impl DecodedPortion {
    /// Adds a row.
    pub(super) fn decode(&mut self, saga: SagaId, version: u32, stored: &StreamRow) {
        let at = Timestamp(stored.recorded_at_ms);
        match journal::codec::decode(version, at, &stored.payload) {
            Ok(decision) => self.decisions.push((saga, decision)),
            Err(error) => self.miss(saga, version, error.to_string()),
        }
    }

    /// A row cannot be read; with version 0, none of its saga can.
    pub(super) fn miss(&mut self, saga: SagaId, version: u32, reason: String) {
        self.unreadable.insert(format!("{UNREADABLE}{saga}/{version}"), reason);
    }

    /// Reads what is known of the sagas of all rows: of each from the first of the readers that has it.
    pub(super) async fn learn(&mut self, readers: &[&dyn JournalReader], plans: &PlanCache) -> Result<(), StoreError> {
        let mut missing: BTreeSet<Uuid> = self.decisions.iter().map(|(saga, _)| saga.uuid()).collect();
        for reader in readers {
            if missing.is_empty() {
                break;
            }
            let streams: Vec<Uuid> = missing.iter().copied().collect();
            for summary in reader.summaries(&streams).await? {
                missing.remove(&summary.stream);
                self.learn_steps(*reader, plans, &summary.document).await?;
                self.summaries.insert(summary.stream, summary);
            }
        }
        Ok(())
    }

    async fn learn_steps(
        &mut self,
        reader: &dyn JournalReader,
        plans: &PlanCache,
        hash: &str,
    ) -> Result<(), StoreError> {
        if self.steps.contains_key(hash) {
            return Ok(());
        }
        match plans.definition(reader, hash).await {
            Ok(definition) => {
                let names = definition.steps.iter().map(|step| step.name.clone()).collect();
                self.steps.insert(hash.to_owned(), names);
                Ok(())
            }
            Err(PlanError::Store(error)) => Err(error),
            Err(PlanError::Missing { .. } | PlanError::Unreadable { .. }) => Ok(()),
        }
    }

    pub(super) fn events(&self) -> impl Iterator<Item = ProjectedEvent<'_>> {
        self.decisions.iter().flat_map(|(saga, decision)| {
            let summary = self.summaries.get(&saga.uuid());
            let steps = summary.and_then(|summary| self.steps.get(&summary.document));
            decision.events.iter().map(move |event| ProjectedEvent {
                saga: *saga,
                definition: summary.map_or("", |summary| summary.category.as_str()),
                key: summary.map_or("", |summary| summary.key.as_str()),
                at: decision.at,
                event,
                steps: steps.map_or(&[][..], Vec::as_slice),
            })
        })
    }
}
