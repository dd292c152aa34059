//! The files of kept journals: JSON lines, first the documents that the saga's rows name, then its rows.
//!
//! ```text
//! {"saga":"<id>"}
//! {"document":"definition","hash":"…","text":"…"}
//! {"version":1,"at":1700000000000,"payload":"{\"v\":1,\"events\":[…]}"}
//! ```

use crate::{CURRENT, given::Saga};
use saga_core::{id::SagaId, state::SagaPlan};
use saga_engine::journal::codec;
use saga_event_store::StreamRow;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use uuid::Uuid;

pub(crate) struct KeptJournal {
    pub(crate) path: PathBuf,
    pub(crate) saga: SagaId,
    /// Kind, hash and text of what the rows name.
    pub(crate) documents: Vec<(String, String, String)>,
    pub(crate) rows: Vec<KeptRow>,
}

pub(crate) struct KeptRow {
    pub(crate) version: u32,
    pub(crate) at: i64,
    pub(crate) payload: String,
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/histories")
}

/// All that are kept, of every version.
pub(crate) fn all() -> Vec<KeptJournal> {
    let versions = files(&folder()).into_iter().filter(|path| path.is_dir());
    let journals = versions.flat_map(|version| files(&version));
    let found: Vec<KeptJournal> =
        journals.filter(|path| path.extension().is_some_and(|it| it == "jsonl")).map(read).collect();
    assert!(!found.is_empty() || crate::is_set("UPDATE_HISTORIES"), "no journal is kept");
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of kept journals can be read");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn read(path: PathBuf) -> KeptJournal {
    let text = fs::read_to_string(&path).expect("a kept journal is text");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let mut kept = KeptJournal { path, saga: crate::saga_id(), documents: Vec::new(), rows: Vec::new() };
    for line in lines {
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        if let Some(saga) = text("saga") {
            kept.saga = saga.parse().expect("a saga's id");
        } else if let (Some(kind), Some(hash), Some(text)) = (text("document"), text("hash"), text("text")) {
            kept.documents.push((kind, hash, text));
        } else {
            let version = line["version"].as_u64().and_then(|it| u32::try_from(it).ok()).expect("a version");
            let (at, payload) = (line["at"].as_i64().expect("a time"), text("payload").expect("a payload"));
            kept.rows.push(KeptRow { version, at, payload });
        }
    }
    kept
}

impl KeptJournal {
    /// The journal of a life, as this build writes it.
    pub(crate) fn of(name: &str, saga: &Saga) -> KeptJournal {
        let plans = std::iter::successors(Some(&saga.plan), |plan| plan.before.as_deref());
        let mut documents: Vec<_> = plans.flat_map(documents).collect();
        documents.sort();
        documents.dedup();
        let row = |decision: &saga_core::event::SagaDecision| KeptRow {
            version: decision.version,
            at: decision.at.0,
            payload: String::from_utf8(codec::encode(decision).expect("it reads back")).expect("JSON is text"),
        };
        let path = folder().join(CURRENT).join(format!("{name}.jsonl"));
        KeptJournal { path, saga: saga.state.id, documents, rows: saga.journal.iter().map(row).collect() }
    }

    pub(crate) fn write(&self) {
        let documents = self.documents.iter();
        let documents = documents.map(|(kind, hash, text)| json!({"document": kind, "hash": hash, "text": text}));
        let rows = self.rows.iter();
        let rows = rows.map(|row| json!({"version": row.version, "at": row.at, "payload": row.payload}));
        let lines = [json!({"saga": self.saga.to_string()})].into_iter().chain(documents).chain(rows);
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        fs::create_dir_all(self.path.parent().expect("a folder")).expect("the folder is made");
        fs::write(&self.path, text).expect("the journal is written");
    }

    /// Its name in the list of sums.
    pub(crate) fn name(&self) -> String {
        let below = self.path.strip_prefix(folder()).expect("it is in the folder");
        below.to_string_lossy().replace('\\', "/")
    }

    pub(crate) fn stream_rows(&self) -> Vec<StreamRow> {
        let row = |row: &KeptRow| StreamRow {
            version: row.version,
            append_id: Uuid::nil(),
            recorded_at_ms: row.at,
            payload: row.payload.clone().into_bytes(),
        };
        self.rows.iter().map(row).collect()
    }
}

fn documents(plan: &SagaPlan) -> Vec<(String, String, String)> {
    vec![
        ("definition".into(), plan.definition.hash.clone(), plan.definition.text.clone()),
        ("policies".into(), plan.policies_hash.clone(), plan.policies.canonical_json()),
    ]
}

/// SHA-256 of a file, in hex.
pub(crate) fn sum(path: &Path) -> String {
    saga_core::digest::hex(&Sha256::digest(fs::read(path).expect("the journal can be read")))
}

/// The sums on record by the file's name, as `sha256sum -c` reads them.
pub(crate) fn sums() -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder().join("SHA256SUMS")).unwrap_or_default();
    let line = |line: &str| line.split_once("  ").map(|(sum, name)| (name.to_owned(), sum.to_owned()));
    text.lines().filter_map(line).collect()
}

/// Writes the sums of the current version's journals; those of released versions stay as they are.
pub(crate) fn write_sums() {
    let is_current = |name: &str| name.starts_with(&format!("{CURRENT}/"));
    let mut kept: BTreeMap<String, String> = sums().into_iter().filter(|(name, _)| !is_current(name)).collect();
    let current = all().into_iter().filter(|journal| is_current(&journal.name()));
    kept.extend(current.map(|journal| (journal.name(), sum(&journal.path))));
    let text: String = kept.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    fs::write(folder().join("SHA256SUMS"), text).expect("the sums are written");
}
