//! The rows that a projection reads and writes while a part of the feed is applied.

use saga_event_store::ProjectedRow;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// Rows of one projection in memory. What changes is written to the store together with the position.
#[derive(Debug, Default)]
pub struct ProjectionRows {
    rows: BTreeMap<String, RowSlot>,
    fault: Option<String>,
}

#[derive(Debug, Default)]
struct RowSlot {
    body: Option<String>,
    is_changed: bool,
}

impl ProjectionRows {
    /// The rows with these keys, as the store has them.
    pub(super) fn of(keys: impl IntoIterator<Item = String>, stored: Vec<ProjectedRow>) -> ProjectionRows {
        let mut rows: BTreeMap<String, RowSlot> = keys.into_iter().map(|key| (key, RowSlot::default())).collect();
        for row in stored {
            rows.insert(row.key, RowSlot { body: Some(row.body), is_changed: false });
        }
        ProjectionRows { rows, fault: None }
    }

    /// The row with this key, or what a row is that is not there yet.
    pub fn get<T: DeserializeOwned + Default>(&mut self, key: &str) -> T {
        let Some(slot) = self.rows.get(key) else {
            self.fail(format!("it reads the row `{key}`, which it has not named"));
            return T::default();
        };
        match slot.body.as_deref().map(serde_json::from_str) {
            None => T::default(),
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.fail(format!("the row `{key}` cannot be read: {error}"));
                T::default()
            }
        }
    }

    /// Writes the row with this key.
    pub fn put<T: Serialize>(&mut self, key: &str, value: &T) {
        match serde_json::to_string(value) {
            Ok(body) => self.set(key, Some(body)),
            Err(error) => self.fail(format!("the row `{key}` cannot be written: {error}")),
        }
    }

    /// Removes the row with this key, if it is there.
    pub fn remove(&mut self, key: &str) {
        self.set(key, None);
    }

    fn set(&mut self, key: &str, body: Option<String>) {
        match self.rows.get_mut(key) {
            Some(slot) => *slot = RowSlot { body, is_changed: true },
            None => self.fail(format!("it writes the row `{key}`, which it has not named")),
        }
    }

    fn fail(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    /// The rows to write and the keys to remove.
    ///
    /// # Errors
    /// What is wrong with the projection.
    pub(super) fn changes(self) -> Result<(Vec<ProjectedRow>, Vec<String>), String> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let (mut put, mut removed) = (Vec::new(), Vec::new());
        for (key, slot) in self.rows.into_iter().filter(|(_, slot)| slot.is_changed) {
            match slot.body {
                Some(body) => put.push(ProjectedRow { key, body }),
                None => removed.push(key),
            }
        }
        Ok((put, removed))
    }
}
