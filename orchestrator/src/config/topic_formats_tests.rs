use super::{ConfigSources, EngineConfigError, load};
use saga_engine::topic_formats::{
    AvroFormat, AvroFrame, ReaderSchema, SchemaRegistration, SubjectNaming, TopicFormat, TopicFormats,
};
use std::collections::BTreeMap;

fn formats(text: &str) -> Result<TopicFormats, EngineConfigError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, text).expect("written");
    let sources = ConfigSources { file: Some(&file), env: BTreeMap::new(), flags: Vec::new() };
    load(&sources).map(|config| config.formats)
}

#[test]
fn a_topic_has_a_format_whatever_dots_are_in_its_name() {
    let read = formats(
        "schemaRegistry: {url: 'http://registry:8081'}
topics:
  inbox: own.inbox
  formats:
    shop.orders: avro
    shop.refunds: json
    shop.returns: {format: avro, reader: folder}
    shop.claims: {format: avro, readerSubject: claims-value, readerVersion: 3}
    inventory.commands: {format: avro, subject: topicRecord, register: true}
    shop.notices: {format: avro, frame: singleObject}
",
    )
    .expect("it holds");
    let avro = TopicFormat::Avro;
    let subject = ReaderSchema::Subject { subject: "claims-value".into(), version: Some(3) };
    let expected = [
        ("shop.orders", avro(AvroFormat::default())),
        ("shop.refunds", TopicFormat::Json),
        ("shop.returns", avro(AvroFormat { reader: Some(ReaderSchema::Folder), ..AvroFormat::default() })),
        ("shop.claims", avro(AvroFormat { reader: Some(subject), ..AvroFormat::default() })),
        (
            "inventory.commands",
            avro(AvroFormat {
                subject: SubjectNaming::TopicRecord,
                registration: SchemaRegistration::Requested,
                ..AvroFormat::default()
            }),
        ),
        ("shop.notices", avro(AvroFormat { frame: AvroFrame::SingleObject, ..AvroFormat::default() })),
    ];
    assert_eq!(read, TopicFormats::new(expected.map(|(topic, format)| (topic.to_owned(), format))));
}

#[test]
fn what_is_no_format_is_told_with_its_topic() {
    for (said, expected) in [
        ("shop.orders: xml", "`topics.formats.shop.orders`: is `xml`: expected `json` or `avro`"),
        ("shop.orders: 1", "`topics.formats.shop.orders`: expected `json`, `avro`, or a map with `format`"),
        ("shop.orders: {format: avro, reader: here}", "expected either `reader: folder` or `readerSubject: SUBJECT`"),
        ("shop.orders: {format: avro, readerSubject: s}", "`readerSubject` needs `schemaRegistry.url`"),
        ("shop.orders: {format: avro, readerVersion: 1}", "expected the number of a version of `readerSubject`"),
        ("shop.orders: {format: avro, regster: true}", "`regster` is not a key of a format; did you mean `register`?"),
        ("shop.orders: {format: avro, register: 1}", "`register`: expected true or false"),
        ("shop.orders: {format: avro, subject: name}", "`subject`: expected one of topic, record, topicRecord"),
        ("shop.orders: {format: json, register: true}", "`register` is for `format: avro` only"),
        ("saga.inbox: avro", "`topics.formats.saga.inbox`: the engine keeps this topic for itself"),
    ] {
        let error = formats(&format!("topics: {{formats: {{{said}}}}}")).expect_err(said).to_string();
        assert!(error.contains(expected), "{said}: {error}");
    }
    assert!(
        formats("topics: {formats: avro}")
            .expect_err("no map")
            .to_string()
            .contains("`topics.formats`: expected topics")
    );
}
