//! Values in Avro, opened for people and closed again.

use super::judge::{EditedRecord, MendError, RecordJudge, restored};
use saga_wire::{
    KafkaRecord,
    dead_letter::{FoundLetter, OriginalContent},
    payload_edit::{self, AvroValue},
};
use serde_json::Value;

/// What takes the place of an original's value.
#[derive(Clone, Debug, PartialEq)]
pub enum EditedValue {
    /// These bytes, in base64; `None`: a tombstone.
    Bytes(Option<String>),
    /// This JSON. Where the value is in Avro it is encoded by the schema that wrote it, and in the same frame.
    Json(Value),
}

/// A record that takes the place of an original, as a person gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordEdit {
    /// In base64; `None`: the record has no key.
    pub key: Option<String>,
    /// The value.
    pub value: EditedValue,
    /// In their order, the values in base64.
    pub headers: Vec<(String, Option<String>)>,
}

impl RecordJudge {
    /// The value of a record for people; `None`: it is not in Avro.
    pub(super) async fn avro(&self, record: &KafkaRecord) -> Option<AvroValue> {
        match self.schemas.writer_soon(record).await {
            Ok(schema) => payload_edit::avro_value(record, &schema),
            Err(unanswered) => Some(AvroValue::NoSchema { why: unanswered.to_string() }),
        }
    }

    /// The bytes of an edit. `before`: the content that it takes the place of.
    ///
    /// # Errors
    /// A part is no base64, or JSON does not fit the schema of the value, or its schema cannot be had.
    pub(super) async fn encoded(
        &self,
        letter: &FoundLetter,
        before: OriginalContent,
        edit: RecordEdit,
    ) -> Result<EditedRecord, MendError> {
        let RecordEdit { key, value, headers } = edit;
        let json = match value {
            EditedValue::Bytes(value) => return Ok(EditedRecord { key, value, headers }),
            EditedValue::Json(json) => json,
        };
        let content = EditedRecord { key, value: None, headers }.content()?;
        // The headers of the edit count: one of them can say that the value is in Avro.
        let record = restored(letter, OriginalContent { value: before.value, ..content.clone() });
        let schema = self.schemas.writer_soon(&record).await?;
        let value = payload_edit::with_value(&record, &schema, &json);
        let value = Some(value.map_err(|misfit| MendError::Unfit(misfit.to_string()))?);
        Ok(EditedRecord::of(&OriginalContent { value, ..content }))
    }
}
