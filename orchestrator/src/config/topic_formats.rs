//! `topics.formats`: in which format the records of topics are.

use super::{ConfigValidator, InternalTopics, RegistryConfig};
use saga_core::definition::or_did_you_mean;
use saga_engine::topic_formats::{
    AvroFormat, AvroFrame, ReaderSchema, SchemaRegistration, SubjectNaming, TopicFormat, TopicFormats,
};
use serde_json::{Map, Value};

/// The key of the formats; topics are the keys within it, and have dots in their names.
pub(super) const FORMATS: &str = "topics.formats";

/// The keys of a topic's format.
const KEYS: [&str; 6] = ["format", "reader", "readerSubject", "readerVersion", "subject", "register"];
const FRAME: &str = "frame";

impl ConfigValidator<'_> {
    /// The formats that the file has. Topics that the engine keeps for itself have no other format than their own.
    pub(super) fn topic_formats(&mut self, own: &InternalTopics, registry: Option<&RegistryConfig>) -> TopicFormats {
        let layers = self.layers;
        let Some(written) = &layers.formats else { return TopicFormats::default() };
        let Value::Object(topics) = written else {
            self.wrong_format("", "expected topics with their formats, such as `shop.orders: avro`");
            return TopicFormats::default();
        };
        let reserved: Vec<String> = own
            .reserved()
            .iter()
            .filter(|topic| topic.key != "topics.replies")
            .map(|topic| topic.topic.to_owned())
            .collect();
        let mut formats = Vec::new();
        for (topic, said) in topics {
            if reserved.contains(topic) {
                self.wrong_format(topic, "the engine keeps this topic for itself: its records have their own format");
                continue;
            }
            let Some(format) = self.topic_format(topic, said) else { continue };
            if let (TopicFormat::Avro(AvroFormat { reader: Some(ReaderSchema::Subject { .. }), .. }), None) =
                (&format, registry)
            {
                self.wrong_format(topic, "`readerSubject` needs `schemaRegistry.url`");
            }
            formats.push((topic.clone(), format));
        }
        TopicFormats::new(formats)
    }

    fn topic_format(&mut self, topic: &str, said: &Value) -> Option<TopicFormat> {
        match said {
            Value::String(format) => self.named_format(topic, format, &Map::new()),
            Value::Object(keys) => {
                let known = || KEYS.into_iter().chain([FRAME]);
                for key in keys.keys().filter(|key| !known().any(|known| known == key.as_str())) {
                    let guess = or_did_you_mean(key, known());
                    self.wrong_format(topic, &format!("`{key}` is not a key of a format{guess}"));
                }
                match keys.get("format").and_then(Value::as_str) {
                    Some(format) => self.named_format(topic, format, keys),
                    None => {
                        self.wrong_format(topic, "expected `format: json` or `format: avro`");
                        None
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                self.wrong_format(topic, "expected `json`, `avro`, or a map with `format`");
                None
            }
        }
    }

    fn named_format(&mut self, topic: &str, format: &str, keys: &Map<String, Value>) -> Option<TopicFormat> {
        match format {
            "json" => {
                if let Some(key) = keys.keys().find(|key| *key != "format") {
                    self.wrong_format(topic, &format!("`{key}` is for `format: avro` only"));
                }
                Some(TopicFormat::Json)
            }
            "avro" => Some(TopicFormat::Avro(self.avro_format(topic, keys))),
            other => {
                self.wrong_format(topic, &format!("is `{other}`: expected `json` or `avro`"));
                None
            }
        }
    }

    fn avro_format(&mut self, topic: &str, keys: &Map<String, Value>) -> AvroFormat {
        let subject = [
            ("topic", SubjectNaming::Topic),
            ("record", SubjectNaming::Record),
            ("topicRecord", SubjectNaming::TopicRecord),
        ];
        let frame = [("registry", AvroFrame::Registry), ("singleObject", AvroFrame::SingleObject)];
        AvroFormat {
            reader: self.reader(topic, keys),
            subject: self.choice(topic, keys, "subject", &subject),
            registration: match keys.get("register") {
                None | Some(Value::Bool(false)) => SchemaRegistration::Expected,
                Some(Value::Bool(true)) => SchemaRegistration::Requested,
                Some(_) => {
                    self.wrong_format(topic, "`register`: expected true or false");
                    SchemaRegistration::Expected
                }
            },
            frame: self.choice(topic, keys, FRAME, &frame),
        }
    }

    fn reader(&mut self, topic: &str, keys: &Map<String, Value>) -> Option<ReaderSchema> {
        let version = keys.get("readerVersion");
        let number = version.and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
        if version.is_some() && (number.is_none_or(|number| number == 0) || !keys.contains_key("readerSubject")) {
            self.wrong_format(topic, "`readerVersion`: expected the number of a version of `readerSubject`");
        }
        match (keys.get("reader"), keys.get("readerSubject")) {
            (None, None) => None,
            (Some(Value::String(folder)), None) if folder == "folder" => Some(ReaderSchema::Folder),
            (None, Some(Value::String(subject))) if !subject.is_empty() => {
                Some(ReaderSchema::Subject { subject: subject.clone(), version: number })
            }
            _ => {
                self.wrong_format(topic, "expected either `reader: folder` or `readerSubject: SUBJECT`");
                None
            }
        }
    }

    fn choice<T: Copy + Default>(
        &mut self,
        topic: &str,
        keys: &Map<String, Value>,
        key: &str,
        choices: &[(&str, T)],
    ) -> T {
        let Some(said) = keys.get(key) else { return T::default() };
        let found = choices.iter().find(|(name, _)| said.as_str() == Some(*name));
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong_format(topic, &format!("`{key}`: expected one of {}", names.join(", ")));
        }
        found.map(|(_, choice)| *choice).unwrap_or_default()
    }

    fn wrong_format(&mut self, topic: &str, expected: &str) {
        let place = if topic.is_empty() { FORMATS.to_owned() } else { format!("{FORMATS}.{topic}") };
        self.errors.push(format!("{}: `{place}`: {expected}", self.layers.file));
    }
}
