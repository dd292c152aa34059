//! Subjects: reading, registering and comparing their versions.

use crate::{
    error::RegistryError,
    http::RegistryRequest,
    references::{SchemaReference, schema_in},
    registry::SchemaRegistry,
};
use reqwest::Method;
use saga_schemas::{avro::AvroSchema, evolution::CompatibilityRule};
use serde::Deserialize;
use serde_json::{Value, json};

/// One version of a subject.
#[derive(Clone, Debug)]
pub struct SubjectVersion {
    /// Its number.
    pub version: u32,
    /// The id that records name.
    pub id: u32,
    /// The schema, with all that it refers to.
    pub schema: AvroSchema,
}

/// Whether a schema may follow, by the registry's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompatibilityAnswer {
    /// Whether it may.
    pub is_compatible: bool,
    /// Why not, in the registry's words.
    pub messages: Vec<String>,
}

impl SchemaRegistry {
    /// Asks whether the registry is there and lets us in.
    ///
    /// # Errors
    /// It is not, or does not.
    pub async fn ping(&self) -> Result<(), RegistryError> {
        self.get(&["schemas", "types"], &[], "its types of schemas").await.map(drop)
    }

    /// The subjects that the registry has, in order.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        let what = "its subjects";
        let mut subjects: Vec<String> = read(&self.get(&["subjects"], &[], what).await?, what)?;
        subjects.sort_unstable();
        Ok(subjects)
    }

    /// The numbers of a subject's versions, ascending.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn versions(&self, subject: &str) -> Result<Vec<u32>, RegistryError> {
        let what = format!("the subject {subject}");
        let answer = self.get(&["subjects", subject, "versions"], &[], &what).await?;
        let mut versions: Vec<u32> = read(&answer, &what)?;
        versions.sort_unstable();
        Ok(versions)
    }

    /// One version of a subject; `None`: the latest.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn version(&self, subject: &str, version: Option<u32>) -> Result<SubjectVersion, RegistryError> {
        let version = version.map_or_else(|| "latest".to_owned(), |version| version.to_string());
        let what = format!("version {version} of the subject {subject}");
        let answer = self.get(&["subjects", subject, "versions", &version], &[], &what).await?;
        let schema = schema_in(&self.http, &answer, &what).await?;
        Ok(SubjectVersion { version: read(&answer["version"], &what)?, id: read(&answer["id"], &what)?, schema })
    }

    /// The id of a schema that the subject has; nothing is registered.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`]: the subject does not have it.
    pub async fn look_up(
        &self,
        subject: &str,
        schema: &str,
        references: &[SchemaReference],
    ) -> Result<u32, RegistryError> {
        let what = format!("this schema in the subject {subject}");
        let answer = self.post(&["subjects", subject], schema, references, &what).await?;
        read(&answer["id"], &what)
    }

    /// Registers a schema as the subject's next version, if it has none that is the same, and gives its id. Done twice
    /// it is done once, so it may be repeated after an outage.
    ///
    /// # Errors
    /// [`RegistryError::Refused`]: it is no schema, or breaks the subject's compatibility rule.
    pub async fn register(
        &self,
        subject: &str,
        schema: &str,
        references: &[SchemaReference],
    ) -> Result<u32, RegistryError> {
        let what = format!("the subject {subject}");
        let answer = self.post(&["subjects", subject, "versions"], schema, references, &what).await?;
        read(&answer["id"], &what)
    }

    /// Whether a schema may follow the subject's latest version.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`]: the subject has no version yet.
    pub async fn compatible(
        &self,
        subject: &str,
        schema: &str,
        references: &[SchemaReference],
    ) -> Result<CompatibilityAnswer, RegistryError> {
        let what = format!("the latest version of the subject {subject}");
        let path = ["compatibility", "subjects", subject, "versions", "latest"];
        let answer = self.post(&path, schema, references, &what).await?;
        let messages = answer["messages"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let messages = messages.map(str::to_owned).collect();
        Ok(CompatibilityAnswer { is_compatible: read(&answer["is_compatible"], &what)?, messages })
    }

    /// The rule that the versions of a subject follow: its own, or that of the registry.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn rule(&self, subject: &str) -> Result<CompatibilityRule, RegistryError> {
        let what = format!("the compatibility rule of {subject}");
        let own = self.get(&["config", subject], &[("defaultToGlobal", "true")], &what).await;
        let answer = match own {
            Err(RegistryError::Unknown { .. }) => self.get(&["config"], &[], &what).await?,
            other => other?,
        };
        let name = answer["compatibilityLevel"].as_str().unwrap_or_default();
        name.parse().map_err(|reason| RegistryError::Unusable { what, reason })
    }

    async fn get(&self, path: &[&str], query: &[(&str, &str)], what: &str) -> Result<Value, RegistryError> {
        self.http.ask(&RegistryRequest { method: Method::GET, path, query, body: None, what }).await
    }

    async fn post(
        &self,
        path: &[&str],
        schema: &str,
        references: &[SchemaReference],
        what: &str,
    ) -> Result<Value, RegistryError> {
        let mut body = json!({"schema": schema, "schemaType": "AVRO"});
        if !references.is_empty() {
            body["references"] = json!(references);
        }
        self.http.ask(&RegistryRequest { method: Method::POST, path, query: &[], body: Some(body), what }).await
    }
}

fn read<'a, T: Deserialize<'a>>(value: &'a Value, what: &str) -> Result<T, RegistryError> {
    T::deserialize(value).map_err(|error| RegistryError::Unusable {
        what: what.to_owned(),
        reason: format!("the registry's answer has another form than expected: {error}"),
    })
}
