//! File, environment and flags, merged key by key; each value remembers where it was set.

mod service_link;

use super::{
    ConfigSources, DEFAULT_FILE, EngineConfigError,
    api_tls::CLIENTS,
    buckets::BUCKETS,
    catalogue::{self, variable},
    encryption::{CURRENT, PREVIOUS},
    internal_topics::DLQ_OF,
    letters::HEADERS,
    login::{CLIENT_SECRET, ROLES, SESSION_KEY},
    outbound::{ALLOW, ALLOW_RESERVED},
    schema_registry::{PASSWORD, TOKEN, URL},
    topic_formats::FORMATS,
};
use saga_core::definition::without_credentials;
use serde_json::{Number, Value};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Keys that a file may give as a list of texts; elsewhere commas separate them.
const LISTS: [&str; 6] = [PREVIOUS, URL, HEADERS, ALLOW, ALLOW_RESERVED, BUCKETS];

/// The address of the event store.
const STORE: &str = "store";
/// The same in a file that says more about the store.
const STORE_ADDRESS: &str = "store.address";

/// Variables with our prefix that other code reads.
const OTHER_VARIABLES: [&str; 6] =
    ["SAGA_CONFIG", "SAGA_LOG", "SAGA_SERVER", "SAGA_TOKEN", "SAGA_CA", "SAGA_CERTIFICATE"];
const TEST_PREFIX: &str = "SAGA_TEST_";
const PROPERTIES: &str = "kafka.properties";
/// The source of flags, for messages.
const COMMAND_LINE: &str = "command line";

/// One value and where it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfigValue {
    pub(super) value: String,
    pub(super) source: String,
}

/// All values that were set.
#[derive(Debug, Default)]
pub(super) struct ConfigLayers {
    settings: BTreeMap<String, ConfigValue>,
    pub(super) properties: BTreeMap<String, String>,
    /// Names of those properties whose value stands in the file as it is.
    pub(super) literal_properties: Vec<String>,
    /// What the file says of the formats of topics, whose names have dots.
    pub(super) formats: Option<Value>,
    /// What the file says of the dead letters of single topics.
    pub(super) dlq_of: Option<Value>,
    /// What the file says of the roles of tokens.
    pub(super) roles: Option<Value>,
    /// What the file says of the certificates of clients.
    pub(super) clients: Option<Value>,
    /// Name of the file that was read; only it can have properties.
    pub(super) file: String,
    /// Text of the file, to find numbers that YAML reads differently from what is written.
    text: String,
    /// Folder of the file: relative paths in it start there.
    base: PathBuf,
    pub(super) errors: Vec<String>,
    /// The environment, for keys that are in it.
    pub(super) env: BTreeMap<String, String>,
    /// Errors about variables that are not set: a problem of the machine and not of the file.
    pub(super) unset: Vec<String>,
}

impl ConfigLayers {
    pub(super) fn read(sources: &ConfigSources<'_>) -> Result<ConfigLayers, EngineConfigError> {
        let mut layers = ConfigLayers { env: sources.env.clone(), ..ConfigLayers::default() };
        if let Some(file) = file_of(sources) {
            layers.read_file(&file, &sources.env)?;
        }
        layers.read_environment(&sources.env);
        for (key, value) in &sources.flags {
            layers.set(key, value.clone(), COMMAND_LINE.into());
        }
        Ok(layers)
    }

    /// Without a file, flags, and variables that set keys.
    pub(super) fn of_environment(env: BTreeMap<String, String>) -> ConfigLayers {
        ConfigLayers { env, ..ConfigLayers::default() }
    }

    /// The base of a relative path: the current folder for a flag, else the folder of the file.
    pub(super) fn base_of(&self, key: &str) -> &Path {
        let is_typed = self.get(key).is_some_and(|setting| setting.source == COMMAND_LINE);
        if is_typed { Path::new("") } else { &self.base }
    }

    pub(super) fn get(&self, key: &str) -> Option<&ConfigValue> {
        self.settings.get(key)
    }

    fn set(&mut self, key: &str, value: String, source: String) {
        self.settings.insert(key.to_owned(), ConfigValue { value, source });
    }

    fn read_file(&mut self, file: &Path, env: &BTreeMap<String, String>) -> Result<(), EngineConfigError> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| EngineConfigError(vec![format!("{name}: cannot be read: {error}")]))?;
        let tree: Value = serde_saphyr::from_str(&text)
            .map_err(|error| EngineConfigError(vec![format!("{name}: cannot be read as YAML: {}", told(&error))]))?;
        self.file.clone_from(&name);
        self.text = text;
        self.base = file.parent().map(Path::to_path_buf).unwrap_or_default();
        match tree {
            Value::Null => {}
            Value::Object(_) => self.flatten(&name, "", &tree, env),
            other => {
                return Err(EngineConfigError(vec![format!(
                    "{name}: expected keys and values, found {}",
                    kind(&other)
                )]));
            }
        }
        Ok(())
    }

    fn flatten(&mut self, file: &str, path: &str, value: &Value, env: &BTreeMap<String, String>) {
        if let Some(property) = path.strip_prefix(PROPERTIES).and_then(|rest| rest.strip_prefix('.')) {
            return self.property(file, property, value, env);
        }
        if path == FORMATS {
            self.formats = Some(value.clone()).filter(|value| !value.is_null());
            return;
        }
        if path == DLQ_OF {
            self.dlq_of = Some(value.clone()).filter(|value| !value.is_null());
            return;
        }
        if path == ROLES {
            self.roles = Some(value.clone()).filter(|value| !value.is_null());
            return;
        }
        if path == CLIENTS {
            self.clients = Some(value.clone()).filter(|value| !value.is_null());
            return;
        }
        match value {
            Value::Object(children) => {
                for (name, child) in children {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.flatten(file, &path, child, env);
                }
            }
            Value::Array(places) if LISTS.contains(&path) && places.iter().all(Value::is_string) => {
                let places: Vec<String> = places.iter().map(scalar).collect();
                self.set(path, places.join(","), file.to_owned());
            }
            Value::String(address) if path == STORE_ADDRESS => self.set(STORE, address.clone(), file.to_owned()),
            Value::Null | Value::Array(_) => self.not_a_scalar(file, path, value),
            Value::Number(number) if !self.is_as_written(number) => self.not_as_written(file, path),
            Value::String(_) | Value::Number(_) | Value::Bool(_) if catalogue::names().any(|key| key == path) => {
                self.set(path, scalar(value), file.to_owned());
            }
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {
                self.errors.push(format!("{file}: `{path}` is not a key{}", did_you_mean(path, catalogue::names())));
            }
        }
    }

    fn not_a_scalar(&mut self, file: &str, path: &str, value: &Value) {
        if path == PROPERTIES && value.is_null() {
            return;
        }
        self.errors.push(format!("{file}: `{path}` is {}: expected one value, as text or number", kind(value)));
    }

    /// YAML reads `0123` as 123 and `0x1F` as 31, and rounds numbers with many digits: a password of digits would
    /// change.
    fn is_as_written(&self, number: &Number) -> bool {
        let number = number.to_string();
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
        self.text.match_indices(&number).any(|(at, _)| {
            let (before, after) = (self.text[..at].bytes().next_back(), self.text[at + number.len()..].bytes().next());
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    }

    /// The message does not show the number: it may be a password.
    fn not_as_written(&mut self, file: &str, path: &str) {
        self.errors
            .push(format!("{file}: YAML would read `{path}` as another number than is written: put it in quotes"));
    }

    fn property(&mut self, file: &str, name: &str, value: &Value, env: &BTreeMap<String, String>) {
        match value {
            Value::Number(number) if !self.is_as_written(number) => {
                return self.not_as_written(file, &format!("{PROPERTIES}.{name}"));
            }
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {}
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return self
                    .errors
                    .push(format!("{file}: `{PROPERTIES}.{name}`: expected one value, as text or number"));
            }
        }
        if !scalar(value).contains("${") {
            self.literal_properties.push(name.to_owned());
        }
        match with_environment(&scalar(value), env) {
            Ok(value) => drop(self.properties.insert(name.to_owned(), value)),
            Err(missing) => {
                let told = format!(
                    "{file}: `{PROPERTIES}.{name}` reads the environment variable `{missing}`, which is not set"
                );
                self.unset.push(told.clone());
                self.errors.push(told);
            }
        }
    }

    fn read_environment(&mut self, env: &BTreeMap<String, String>) {
        for (name, value) in env.iter().filter(|(name, _)| name.starts_with("SAGA_")) {
            let is_read_elsewhere = OTHER_VARIABLES.contains(&name.as_str()) || name.starts_with(TEST_PREFIX);
            if is_read_elsewhere || service_link::is_one(name, value) || self.has_a_secret(name, env) {
                continue;
            }
            match catalogue::names().find(|key| variable(key) == *name) {
                Some(key) => self.set(key, value.clone(), format!("environment variable {name}")),
                None => {
                    let others = OTHER_VARIABLES.map(str::to_owned);
                    let names: Vec<String> = catalogue::names().map(variable).chain(others).collect();
                    let hint = did_you_mean(name, names.iter().map(String::as_str));
                    self.errors.push(format!("environment: `{name}` is not a variable of the orchestrator{hint}"));
                }
            }
        }
    }
}

impl ConfigLayers {
    /// Whether the configuration says that a variable has a secret.
    fn has_a_secret(&self, name: &str, env: &BTreeMap<String, String>) -> bool {
        let of_file = |key: &str| self.get(key).map(|it| it.value.as_str());
        let of_environment = |key: &str| env.get(&variable(key)).map(String::as_str);
        let places = [CURRENT, PREVIOUS, PASSWORD, TOKEN, SESSION_KEY, CLIENT_SECRET]
            .into_iter()
            .flat_map(|key| [of_file(key), of_environment(key)])
            .flatten();
        places.flat_map(|places| places.split(',')).any(|place| place.trim().strip_prefix("env:") == Some(name))
    }
}

/// The message without lines of the file: a password may be in them.
fn told(error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().to_string();
    without_credentials(&message).into_owned()
}

/// The kind of a value, without the value: it may be secret.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

pub(super) fn file_of(sources: &ConfigSources<'_>) -> Option<PathBuf> {
    let named = sources.file.map(Path::to_path_buf).or_else(|| sources.env.get("SAGA_CONFIG").map(PathBuf::from));
    named.or_else(|| Path::new(DEFAULT_FILE).exists().then(|| PathBuf::from(DEFAULT_FILE)))
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Replaces each `${ env.NAME }`; the name of a variable that is not set is the error.
fn with_environment(text: &str, env: &BTreeMap<String, String>) -> Result<String, String> {
    let (mut rest, mut out) = (text, String::new());
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inside, behind)) = after.split_once('}') else { break };
        let Some(name) = inside.trim().strip_prefix("env.") else { return Err(inside.trim().to_owned()) };
        out.push_str(before);
        out.push_str(env.get(name).ok_or_else(|| name.to_owned())?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

fn did_you_mean<'k>(found: &str, keys: impl IntoIterator<Item = &'k str>) -> String {
    const ALIKE: f64 = 0.75;
    let likeness = |key: &str| strsim::jaro_winkler(found, key);
    let best = keys.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match best.filter(|key| likeness(key) > ALIKE) {
        Some(key) => format!("; did you mean `{key}`?"),
        None => String::new(),
    }
}
