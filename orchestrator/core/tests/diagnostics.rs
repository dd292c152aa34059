//! Every finding as a person sees it: each bad file stands beside what is said about it. `UPDATE_GOLDEN=1` writes the
//! answers anew.

use saga_core::definition::{
    self, CheckFinding, Code, DefinitionLibrary, RenderStyle, SourceFile, SuggestedFix, participants, render,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PARTICIPANTS: &str = "
participants:
  inventory: {kafka: {commands: inventory.commands}}
  payments: {http: {url: 'http://localhost:9001'}, timeout: 5s, capabilities: [translation]}
  shipping: {kafka: {commands: shipping.commands}, capabilities: [text-analysis, translation]}
";

const ORDER_PLACED: &str = r#"{
  "type": "record", "name": "OrderPlaced", "namespace": "com.example.shop",
  "fields": [
    {"name": "orderId", "type": "string"},
    {"name": "amountCents", "type": "long"},
    {"name": "digital", "type": "boolean"},
    {"name": "address", "type": ["null", {"type": "record", "name": "Address", "fields": [{"name": "city", "type": "string"}]}]},
    {"name": "items", "type": {"type": "array", "items": {
      "type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}]}}}
  ]
}"#;

const CLAIM_FILED: &str = r#"{
  "type": "object", "required": ["claimId", "amountCents"],
  "properties": {
    "claimId": {"type": "string"},
    "amountCents": {"type": "integer"},
    "note": {"type": ["string", "null"]},
    "car": {"type": "object", "required": ["days"], "properties": {"days": {"type": "integer"}}, "additionalProperties": false}
  }
}"#;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

/// The files of the folder whose names end with `ending`, sorted.
fn files(ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("the folder of bad files");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

fn source(path: &Path) -> SourceFile {
    SourceFile::new(name(path), fs::read_to_string(path).expect("a text"))
}

fn findings_of(path: &Path) -> Vec<CheckFinding> {
    findings_in(source(path))
}

fn findings_in(text: SourceFile) -> Vec<CheckFinding> {
    if text.name.ends_with(".participants.yaml") {
        return participants::parse(&text.name, &text.text, &|_| None).expect_err(&text.name);
    }
    let others = [
        SourceFile::new("participants.yaml", PARTICIPANTS),
        SourceFile::new("order-placed.avsc", ORDER_PLACED),
        SourceFile::new("ClaimFiled.schema.json", CLAIM_FILED),
    ];
    DefinitionLibrary::read(&[text], Some(&others[0]), &others[1..], &|_| None).findings
}

/// Compares `rendered` with the golden file beside `path`, or writes it.
fn check(path: &Path, rendered: &str) {
    let golden = path.with_extension("txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, rendered).expect("the golden file is written");
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(rendered, expected, "{}; UPDATE_GOLDEN=1 accepts it", golden.display());
}

#[test]
fn every_bad_file_says_what_to_write() {
    let mut paths = files(".saga.yaml");
    paths.extend(files(".participants.yaml"));
    assert!(paths.len() > 30, "{} files", paths.len());
    let mut helpless = Vec::new();
    for path in paths {
        let findings = findings_of(&path);
        assert!(!findings.is_empty(), "{}", path.display());
        check(&path, &render(&findings, RenderStyle::Plain));
        helpless.extend(findings.into_iter().filter(|finding| finding.help.is_none()));
    }
    assert!(helpless.is_empty(), "no help: {}", render(&helpless, RenderStyle::Plain));
}

/// The text with what a finding proposes.
fn mended(text: &str, fix: &SuggestedFix) -> String {
    format!("{}{}{}", &text[..fix.span.start], fix.text, &text[fix.span.end..])
}

/// A help that leads into the next finding is worse than none.
#[test]
fn whatever_a_help_proposes_passes() {
    let mut proposed = 0;
    for path in files(".saga.yaml").into_iter().chain(files(".participants.yaml")) {
        let found = findings_of(&path);
        let of = |all: &[CheckFinding]| -> Vec<(Code, String)> {
            all.iter().map(|finding| (finding.code, finding.message.clone())).collect()
        };
        let before = of(&found);
        for finding in &found {
            let Some(fix) = &finding.fix else { continue };
            proposed += 1;
            let text = mended(&source(&path).text, fix);
            let after = findings_in(SourceFile::new(name(&path), text));
            let new: Vec<_> = after.iter().filter(|it| !before.contains(&(it.code, it.message.clone()))).collect();
            assert!(new.is_empty(), "{finding}: {} leads to {new:?}", fix.text);
            assert!(after.len() < found.len(), "{finding}: {} mends nothing", fix.text);
        }
    }
    assert!(proposed > 15, "{proposed} proposals");
}

/// A saga that runs by what an earlier build proved goes on, whatever is proved today.
#[test]
fn what_was_proved_when_it_was_stored_is_read_by_later_builds() {
    let text = source(&folder().join("null-in-text.saga.yaml")).text;
    assert!(definition::parse("null-in-text.saga.yaml", &text, None, None).is_err(), "it is refused today");
    assert_eq!(definition::parse_stored(&text).map(|stored| stored.steps.len()), Ok(9));
    assert!(definition::parse_stored("saga: order\nsteps: []\n").is_err(), "what says too little is no definition");
}

/// Codes that need more than one file, or none that is YAML.
const ELSEWHERE: [Code; 7] = [
    Code::DuplicateDefinition,
    Code::BadSchema,
    Code::MissingSchema,
    Code::RetypedField,
    Code::TooLarge,
    Code::NotRead,
    Code::BadConfig,
];

#[test]
fn every_code_has_a_bad_file() {
    let mut seen: BTreeSet<Code> = ELSEWHERE.into();
    for path in files(".saga.yaml").into_iter().chain(files(".participants.yaml")) {
        seen.extend(findings_of(&path).iter().map(|finding| finding.code));
    }
    let missing: Vec<&str> = Code::ALL.iter().filter(|code| !seen.contains(code)).map(|code| code.as_str()).collect();
    assert!(missing.is_empty(), "no bad file for {missing:?}");
}

#[test]
fn what_is_wrong_between_files_is_found() {
    let one = source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sagas/subscription-signup.saga.yaml"));
    let two = SourceFile { name: "again.saga.yaml".into(), ..one.clone() };
    let library = DefinitionLibrary::read(&[one, two], None, &[SourceFile::new("bad.avsc", "{}")], &|_| None);
    let codes: Vec<&str> = library.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["bad-schema", "duplicate-definition"]);
    assert_eq!(library.definitions.len(), 1);
}

#[test]
fn two_schemas_of_one_type_are_refused() {
    let json = r#"{"title": "A", "type": "object"}"#;
    let avro = r#"{"type": "record", "name": "A", "fields": []}"#;
    let found = |files: [(&str, &str); 2]| {
        let files = files.map(|(name, text)| SourceFile::new(name, text));
        let library = DefinitionLibrary::read(&[], None, &files, &|_| None);
        library.findings.iter().map(|finding| format!("{} {finding}", finding.code.as_str())).collect::<Vec<_>>()
    };
    for files in [
        [("one.schema.json", json), ("two.schema.json", json)],
        [("one.schema.json", json), ("A.schema.json", "{}")],
        [("one.avsc", avro), ("two.avsc", avro)],
    ] {
        let said = found(files);
        assert!(said.len() == 1 && said[0].starts_with("bad-schema ") && said[0].contains("one."), "{said:?}");
    }
    assert!(found([("a.avsc", avro), ("a.schema.json", json)]).is_empty(), "the JSON Schema counts");
}

#[test]
fn a_name_is_taken_by_a_file_that_cannot_be_used_too() {
    let broken = SourceFile::new("one.saga.yaml", "saga: order\nsteps: []\n");
    let whole = "saga: order\ntrigger: {topic: t, type: T, key: \"${ event.id }\"}\nsteps: [{step: rest, wait: 1s}]\n";
    let library = DefinitionLibrary::read(&[broken, SourceFile::new("two.saga.yaml", whole)], None, &[], &|_| None);
    let duplicate = library.findings.iter().find(|finding| finding.code == Code::DuplicateDefinition);
    let said = duplicate.expect("the name is taken").to_string();
    assert!(said.contains("two.saga.yaml") && said.contains("one.saga.yaml defines the saga `order`"), "{said}");
}

#[test]
fn bytes_that_are_no_text_are_a_finding_with_a_place() {
    let finding = SourceFile::of_bytes("latin.saga.yaml", b"saga: order\ndescription: Gr\xf6\xdfe\n".to_vec());
    let finding = finding.expect_err("Latin-1");
    let place = finding.position();
    assert_eq!((finding.code, place.line, place.column), (Code::Yaml, 2, 16));
    assert!(finding.message.contains("UTF-8") && finding.help.is_some(), "{finding}");
    assert!(SourceFile::of_bytes("utf8.saga.yaml", "Größe".into()).is_ok());
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let large = [
        " ".repeat(256 * 1024 + 1),
        format!("a: {}{}", "[".repeat(70), "]".repeat(70)),
        format!("a: [{}]", "1,".repeat(60_000)),
    ];
    for text in large {
        let library = DefinitionLibrary::read(&[SourceFile::new("large.saga.yaml", text)], None, &[], &|_| None);
        let codes: Vec<&str> = library.findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, ["too-large"]);
    }
}

#[test]
fn findings_have_a_shape_for_programs() {
    let findings = findings_of(&folder().join("unknown-key.saga.yaml"));
    let json = findings[0].json();
    let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
    let expected =
        ["code", "column", "endColumn", "endLine", "file", "help", "length", "line", "message", "offset", "severity"];
    assert_eq!(keys, expected);
    assert_eq!((json["code"].as_str(), json["severity"].as_str()), (Some("unknown-key"), Some("error")));
}
