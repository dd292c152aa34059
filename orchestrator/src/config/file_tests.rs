//! Problems of a file, for a check without a run.

use super::*;

#[test]
fn what_is_wrong_in_the_file_is_found_without_its_environment() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("prod.yaml");
    let text = "shards: 0\nshard: 5\napi: {listen: banana}\ntopics: {dlq: dead}\nkafka:\n  properties: {sasl.password: \"${ env.NOT_HERE }\"}\n";
    std::fs::write(&file, text).expect("written");
    let env = BTreeMap::from([("SAGA_TOPICS_INBOX".to_owned(), "no topic".to_owned())]);
    let sources = |file| ConfigSources { file, env: env.clone(), flags: Vec::new() };
    let wrong = wrong_in_file(&sources(Some(file.as_path())));
    let told: Vec<&str> = wrong.iter().map(|wrong| wrong.message.as_str()).collect();
    let told_of = |key: &str| told.iter().any(|message| message.contains(key));
    assert!(told.len() == 3 && told_of("`shard` is not a key") && told_of("`shards`") && told_of("banana"), "{told:?}");
    assert!(wrong.iter().all(|wrong| wrong.is_named && wrong.file == file.display().to_string()));
    assert_eq!(topics(&sources(Some(file.as_path()))).map(|topics| topics.dlq), Ok("dead".to_owned()));
    let missing = wrong_in_file(&sources(Some(Path::new("nowhere.yaml"))));
    assert!(missing.len() == 1 && missing[0].message.contains("cannot be read"), "{missing:?}");
}
