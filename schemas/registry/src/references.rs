//! Schemas that a schema refers to, and those that these refer to.

use crate::{
    error::RegistryError,
    http::{RegistryHttp, RegistryRequest},
};
use reqwest::Method;
use saga_schemas::avro::{AvroSchema, MAX_REFERENCES, MAX_SCHEMA_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{HashSet, VecDeque};

/// A schema that another one uses by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaReference {
    /// The name by which it is used: of Avro types the full name.
    pub name: String,
    /// The subject that has it.
    pub subject: String,
    /// The version of the subject.
    pub version: u32,
}

impl SchemaReference {
    /// Those of an answer; what is no reference is left out, and the schema then lacks a type.
    pub(crate) fn all_in(answer: &Value) -> Vec<SchemaReference> {
        let written = answer["references"].as_array().into_iter().flatten().take(MAX_REFERENCES);
        written.filter_map(|it| SchemaReference::deserialize(it).ok()).collect()
    }
}

/// The schema in an answer of the registry, with all that it refers to.
pub(crate) async fn schema_in(http: &RegistryHttp, answer: &Value, what: &str) -> Result<AvroSchema, RegistryError> {
    let unusable = |reason: String| RegistryError::Unusable { what: what.to_owned(), reason };
    if let Some(kind) = answer["schemaType"].as_str().filter(|kind| *kind != "AVRO") {
        return Err(unusable(format!("it is of the type {kind}; expected AVRO")));
    }
    let text = answer["schema"].as_str().ok_or_else(|| unusable("the answer has no `schema`".to_owned()))?;
    let references = texts(http, answer, what).await?;
    AvroSchema::parse_with(text, &references).map_err(|error| unusable(error.to_string()))
}

/// The texts of all schemas that an answer refers to, each once.
async fn texts(http: &RegistryHttp, answer: &Value, what: &str) -> Result<Vec<String>, RegistryError> {
    let unusable = |reason: String| RegistryError::Unusable { what: what.to_owned(), reason };
    let mut open: VecDeque<SchemaReference> = SchemaReference::all_in(answer).into();
    let mut seen: HashSet<(String, u32)> = HashSet::new();
    let mut texts: Vec<String> = Vec::new();
    while let Some(reference) = open.pop_front() {
        if !seen.insert((reference.subject.clone(), reference.version)) {
            continue;
        }
        if seen.len() > MAX_REFERENCES || texts.iter().map(String::len).sum::<usize>() > MAX_SCHEMA_BYTES {
            return Err(unusable(format!("it refers to more than {MAX_REFERENCES} schemas, or to too many bytes")));
        }
        let answer = fetch(http, &reference).await?;
        let text = answer["schema"].as_str();
        let text = text.ok_or_else(|| unusable(format!("its reference {} has no `schema`", reference.name)))?;
        if !texts.iter().any(|known| known == text) {
            texts.push(text.to_owned());
        }
        open.extend(SchemaReference::all_in(&answer));
    }
    Ok(texts)
}

/// A version may be deleted softly and still be referred to.
async fn fetch(http: &RegistryHttp, reference: &SchemaReference) -> Result<Value, RegistryError> {
    let SchemaReference { name, subject, version } = reference;
    let version = version.to_string();
    let what = format!("version {version} of {subject}, which a schema refers to as {name}");
    let path = ["subjects", subject, "versions", &version];
    let query = &[("deleted", "true")];
    http.ask(&RegistryRequest { method: Method::GET, path: &path, query, body: None, what: &what }).await
}
