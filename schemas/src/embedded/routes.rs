//! Which request asks for what.

use super::{EmbeddedRegistry, EmbeddedSchema, RegistryAnswer};
use crate::{
    avro::AvroSchema,
    evolution::{BreakWeight, CompatibilityRule, avro_breaks},
};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// What holds between versions that are yet to come; a folder has none.
const RULE: CompatibilityRule = CompatibilityRule::Backward;
/// The one version of a subject.
const VERSION: u32 = 1;

pub(super) fn answer(registry: &EmbeddedRegistry, method: &str, path: &str, body: &[u8]) -> RegistryAnswer {
    let place = path.split_once('?').map_or(path, |(place, _)| place);
    let parts: Vec<String> = place
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (method, parts.as_slice()) {
        ("GET", []) => RegistryAnswer::ok(json!({})),
        ("GET", ["schemas", "types"]) => RegistryAnswer::ok(json!(["AVRO"])),
        ("GET", ["schemas", "ids", id]) => registry.by_id(id, |known| known.text()),
        ("GET", ["schemas", "ids", id, "schema"]) => registry.by_id(id, |known| parsed(&known.schema)),
        ("GET", ["schemas", "ids", id, "subjects"]) => registry.by_id(id, |known| json!(registry.subjects_of(known))),
        ("GET", ["schemas", "ids", id, "versions"]) => registry.by_id(id, |known| registry.versions_of(known)),
        ("GET", ["schemas", "guids", guid]) => registry.by_guid(guid),
        ("GET", ["subjects"]) => RegistryAnswer::ok(json!(registry.subjects.keys().collect::<Vec<_>>())),
        ("GET", ["subjects", subject, "versions"]) => registry.in_subject(subject, |_| json!([VERSION])),
        ("GET", ["subjects", subject, "versions", version]) => {
            registry.in_version(subject, version, |known| known.version(subject))
        }
        ("GET", ["subjects", subject, "versions", version, "schema"]) => {
            registry.in_version(subject, version, |known| parsed(&known.schema))
        }
        ("GET", ["subjects", subject, "versions", version, "referencedby"]) => {
            registry.in_version(subject, version, |_| json!([]))
        }
        ("POST", ["subjects", subject]) => registry.look_up(subject, body),
        ("POST", ["subjects", subject, "versions"]) => registry.register(subject, body),
        ("POST", ["compatibility", "subjects", subject, "versions", version]) => {
            registry.compatible(subject, version, body)
        }
        ("POST", ["compatibility", "subjects", subject, "versions"]) => registry.compatible(subject, "latest", body),
        ("GET", ["config"] | ["config", _]) => RegistryAnswer::ok(json!({"compatibilityLevel": RULE.as_str()})),
        ("GET", ["mode"] | ["mode", _]) => RegistryAnswer::ok(json!({"mode": "READONLY"})),
        _ => RegistryAnswer::no_route(method, place),
    }
}

impl EmbeddedRegistry {
    fn by_id(&self, id: &str, shown: impl Fn(&EmbeddedSchema) -> Value) -> RegistryAnswer {
        let known = id.parse().ok().and_then(|id: u32| self.schemas.get(&id));
        known.map_or_else(RegistryAnswer::no_schema, |known| RegistryAnswer::ok(shown(known)))
    }

    fn by_guid(&self, guid: &str) -> RegistryAnswer {
        let known = self.schemas.values().find(|known| known.guid.to_string() == guid.to_ascii_lowercase());
        known.map_or_else(RegistryAnswer::no_schema, |known| RegistryAnswer::ok(known.text()))
    }

    fn in_subject(&self, subject: &str, shown: impl Fn(&EmbeddedSchema) -> Value) -> RegistryAnswer {
        let known = self.subjects.get(subject).and_then(|id| self.schemas.get(id));
        known.map_or_else(|| RegistryAnswer::no_subject(subject), |known| RegistryAnswer::ok(shown(known)))
    }

    fn in_version(&self, subject: &str, version: &str, shown: impl Fn(&EmbeddedSchema) -> Value) -> RegistryAnswer {
        if !self.subjects.contains_key(subject) {
            return RegistryAnswer::no_subject(subject);
        }
        match (version, version.parse::<u32>()) {
            ("latest" | "-1", _) | (_, Ok(VERSION)) => self.in_subject(subject, shown),
            (_, Ok(number)) if number > 0 => RegistryAnswer::no_version(version),
            _ => RegistryAnswer::bad_version(version),
        }
    }

    fn look_up(&self, subject: &str, body: &[u8]) -> RegistryAnswer {
        if !self.subjects.contains_key(subject) {
            return RegistryAnswer::no_subject(subject);
        }
        let schema = match schema_in(body) {
            Ok(schema) => schema,
            Err(answer) => return answer,
        };
        let known = self.subjects.get(subject).and_then(|id| self.schemas.get(id));
        let same = known.filter(|known| known.schema == schema);
        same.map_or_else(RegistryAnswer::no_schema, |known| RegistryAnswer::ok(known.version(subject)))
    }

    /// A client that registers what is there already gets its id, whatever the subject.
    fn register(&self, subject: &str, body: &[u8]) -> RegistryAnswer {
        let schema = match schema_in(body) {
            Ok(schema) => schema,
            Err(answer) => return answer,
        };
        match self.id_of(&schema).and_then(|id| self.schemas.get(&id)) {
            Some(known) => RegistryAnswer::ok(known.version(subject)),
            None => RegistryAnswer::read_only(subject),
        }
    }

    fn compatible(&self, subject: &str, version: &str, body: &[u8]) -> RegistryAnswer {
        let schema = match schema_in(body) {
            Ok(schema) => schema,
            Err(answer) => return answer,
        };
        self.in_version(subject, version, |known| {
            let found = avro_breaks(RULE, &schema, std::slice::from_ref(&known.schema));
            let breaks: Vec<String> =
                found.iter().filter(|it| it.weight == BreakWeight::Break).map(ToString::to_string).collect();
            json!({"is_compatible": breaks.is_empty(), "messages": breaks})
        })
    }

    fn subjects_of(&self, known: &EmbeddedSchema) -> Vec<&str> {
        self.subjects.iter().filter(|(_, id)| **id == known.id).map(|(subject, _)| subject.as_str()).collect()
    }

    fn versions_of(&self, known: &EmbeddedSchema) -> Value {
        self.subjects_of(known).into_iter().map(|subject| json!({"subject": subject, "version": VERSION})).collect()
    }
}

impl EmbeddedSchema {
    fn text(&self) -> Value {
        json!({"schema": self.schema.text(), "guid": self.guid.to_string()})
    }

    fn version(&self, subject: &str) -> Value {
        let EmbeddedSchema { id, guid, schema } = self;
        json!({"subject": subject, "version": VERSION, "id": id, "guid": guid.to_string(), "schema": schema.text()})
    }
}

fn parsed(schema: &AvroSchema) -> Value {
    serde_json::from_str(schema.text()).unwrap_or(Value::Null)
}

/// The schema of a request's body: `{"schema": "…"}`.
fn schema_in(body: &[u8]) -> Result<AvroSchema, RegistryAnswer> {
    let body: Value = serde_json::from_slice(body).map_err(|_| RegistryAnswer::bad_schema("the body is no JSON"))?;
    if body["schemaType"].as_str().is_some_and(|kind| kind != "AVRO") {
        return Err(RegistryAnswer::bad_schema("this registry has schemas of Avro only"));
    }
    let text = body["schema"].as_str().ok_or_else(|| RegistryAnswer::bad_schema("the body has no `schema`"))?;
    AvroSchema::parse(text).map_err(|error| RegistryAnswer::bad_schema(&error.to_string()))
}
