//! Finds files that look like definitions, participants or schemas but have names under which they are not read:
//! without a finding, a missing definition would go unnoticed.

use super::paths;
use saga_core::definition::{
    CheckFinding, Code, FindingSeverity, SchemaCatalog, SourceFile, did_you_mean, json_schema::FILE_ENDING,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Levels of subfolders that are searched for definitions.
const LEVELS: usize = 3;
/// Folders of tools, which have very many files and no definitions.
const OF_PROGRAMS: [&str; 3] = ["node_modules", "target", "vendor"];
/// Largest file that is read, in bytes.
const LARGEST: u64 = 256 * 1024;

/// A finding for each file of a folder that looks like a definition or like participants.yaml and has another name.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn misnamed(folder: &Path) -> anyhow::Result<Vec<CheckFinding>> {
    let all = paths(folder, "")?;
    let instead = all.iter().filter_map(|path| Some((path, instead_of(path, &name_of(path))?)));
    Ok(instead.map(|(path, instead)| CheckFinding::not_read(path.display().to_string(), &instead)).collect())
}

/// A warning for each definition in a subfolder, and for each that is written as JSON.
pub(crate) fn definitions_elsewhere(folder: &Path) -> anyhow::Result<Vec<CheckFinding>> {
    let mut found = Vec::new();
    for path in paths(folder, ".json")? {
        let name = name_of(&path);
        if let Some(stem) = name.strip_suffix(".saga.json").or((name == "participants.json").then_some("participants"))
        {
            let ending = if name == "participants.json" { "yaml" } else { "saga.yaml" };
            let help = format!("call it {stem}.{ending}: YAML reads JSON, too");
            found.push(warning(&path, "this file is not read: its name does not say what it is", help));
        }
    }
    for path in in_subfolders(folder, LEVELS) {
        let help = format!("move it to {}, or set its folder as the folder of definitions", folder.display());
        found.push(warning(&path, "this file is not read: subfolders are not searched for definitions", help));
    }
    Ok(found)
}

/// A warning for each file of a folder that looks like a schema of events and has another name.
pub(crate) fn misnamed_schemas(folder: &Path) -> anyhow::Result<Vec<CheckFinding>> {
    let told = |path: PathBuf| {
        let instead = schema_name(&path, &name_of(&path))?;
        let message = "this file is not read as a schema: its name does not say what it is";
        Some(warning(&path, message, format!("call it {instead}, or move it to another folder")))
    };
    Ok(paths(folder, "")?.into_iter().filter_map(told).collect())
}

/// A warning for each schema whose type is none of `event_types`: those of triggers, and of what is written in Avro.
/// `all` false: only if the type differs from one of them by its case.
pub(crate) fn unused_schemas(schemas: &[SourceFile], event_types: &BTreeSet<String>, all: bool) -> Vec<CheckFinding> {
    let told = |source: &SourceFile| {
        let schema = SchemaCatalog::parse([(source.name.as_str(), source.text.as_str())]).ok()?;
        if event_types.iter().any(|name| schema.describes(name)) {
            return None;
        }
        let names: Vec<&str> = schema.types().collect();
        let differs = |name: &&String| names.iter().any(|of| of.eq_ignore_ascii_case(name));
        let meant = event_types.iter().find(differs);
        if !all && meant.is_none() {
            return None;
        }
        let guess = meant.map(|name| format!("did you mean `{name}`?"));
        let guess = guess.or_else(|| did_you_mean(names.first()?, event_types.iter().map(String::as_str)));
        let help =
            guess.unwrap_or_else(|| "a trigger, or a command or event of a topic in Avro, has the title or the name of the schema as its type".to_owned());
        let of = names.first().copied().unwrap_or_default();
        Some(warning(Path::new(&source.name), &format!("nothing has the type `{of}` of this schema"), help))
    };
    schemas.iter().filter_map(told).collect()
}

fn warning(path: &Path, message: &str, help: String) -> CheckFinding {
    CheckFinding::of_file(Code::NotRead, FindingSeverity::Warning, path.display().to_string(), message, help)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The name under which a file would be read, if it has another name.
fn instead_of(path: &Path, name: &str) -> Option<String> {
    let small = name.to_lowercase();
    let stem = small.strip_suffix(".yaml").or_else(|| small.strip_suffix(".yml"))?;
    let is_read = name.ends_with(".saga.yaml") || name == "participants.yaml";
    if is_read || name.starts_with('.') {
        return None;
    }
    let declares =
        || std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line.starts_with("saga:")));
    match stem {
        "participants" | "participant" => Some("participants.yaml".to_owned()),
        _ if stem.ends_with(".saga") => Some(format!("{stem}.yaml")),
        _ if declares() => Some(format!("{stem}.saga.yaml")),
        _ => None,
    }
}

/// The definitions below a folder, without hidden folders: Kubernetes keeps former versions of mounted files there.
fn in_subfolders(folder: &Path, levels: usize) -> Vec<PathBuf> {
    let Some(levels) = levels.checked_sub(1) else { return Vec::new() };
    let is_searched = |path: &PathBuf| {
        let name = name_of(path);
        path.is_dir() && !path.is_symlink() && !name.starts_with('.') && !OF_PROGRAMS.contains(&name.as_str())
    };
    let folders = paths(folder, "").unwrap_or_default().into_iter().filter(is_searched);
    folders
        .flat_map(|inner| {
            let here = paths(&inner, ".saga.yaml").unwrap_or_default();
            here.into_iter().chain(in_subfolders(&inner, levels))
        })
        .collect()
}

/// The name under which a file would be read as a schema, if it is one and has another name.
fn schema_name(path: &Path, name: &str) -> Option<String> {
    let small = name.to_lowercase();
    if name.ends_with(FILE_ENDING) || name.ends_with(".avsc") || name.starts_with('.') || !path.is_file() {
        return None;
    }
    if let Some(stem) = [".schema.yaml", ".schema.yml"].iter().find_map(|ending| small.strip_suffix(ending)) {
        return Some(format!("{}{FILE_ENDING} and write it as JSON", &name[..stem.len()]));
    }
    for ending in [FILE_ENDING, ".avsc"] {
        if let Some(stem) = small.strip_suffix(ending) {
            return Some(format!("{}{ending}", &name[..stem.len()]));
        }
    }
    let stem = &name[..small.strip_suffix(".json").or_else(|| small.strip_suffix(".avro"))?.len()];
    let is_small = path.metadata().is_ok_and(|file| file.len() <= LARGEST);
    let value: Value = serde_json::from_str(&is_small.then(|| std::fs::read_to_string(path).ok()).flatten()?).ok()?;
    let is_avro = value["type"] == "record" && value["fields"].is_array();
    let is_json =
        value["properties"].is_object() || value["$schema"].as_str().is_some_and(|it| it.contains("json-schema"));
    match (is_avro, is_json) {
        (true, _) => Some(format!("{stem}.avsc")),
        (false, true) => Some(format!("{stem}{FILE_ENDING}")),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        folder
    }

    /// Each file with its right name or folder.
    fn told(findings: &[CheckFinding]) -> Vec<(String, String)> {
        assert!(findings.iter().all(|finding| !finding.is_error()));
        let told =
            |finding: &CheckFinding| (name_of(Path::new(&finding.file)), finding.help.clone().unwrap_or_default());
        findings.iter().map(told).collect()
    }

    #[test]
    fn definitions_in_subfolders_and_in_json_are_told() {
        let files =
            ["a.saga.yaml", "sub/y.saga.yaml", "sub/more/z.saga.yaml", ".old/x.saga.yaml", "target/x.saga.yaml"];
        let mut files: Vec<(&str, &str)> = files.into_iter().map(|name| (name, "saga: a")).collect();
        files.extend([("y.saga.json", "{}"), ("participants.json", "{}"), ("package.json", "{}")]);
        let folder = folder(&files);
        let told = told(&definitions_elsewhere(folder.path()).expect("a folder"));
        let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["participants.json", "y.saga.json", "y.saga.yaml", "z.saga.yaml"]);
        assert!(told[0].1.starts_with("call it participants.yaml") && told[1].1.starts_with("call it y.saga.yaml"));
    }

    #[test]
    fn schemas_under_another_name_are_told_and_other_files_are_not() {
        let schema = r#"{"title": "A", "properties": {"a": {}}}"#;
        let avro = r#"{"type": "record", "name": "A", "fields": []}"#;
        let folder = folder(&[
            ("A.json", schema),
            ("A.schema.yaml", "title: A"),
            ("A.SCHEMA.JSON", schema),
            ("B.json", avro),
            ("A.schema.json", schema),
            ("B.avsc", avro),
            ("package.json", r#"{"name": "schemas", "type": "module"}"#),
            ("README.md", "# Schemas"),
        ]);
        let told = told(&misnamed_schemas(folder.path()).expect("a folder"));
        let named = |name: &str| told.iter().find(|(file, _)| file == name).map(|(_, help)| help.as_str());
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(named("A.json").is_some_and(|help| help.starts_with("call it A.schema.json")));
        assert!(named("A.schema.yaml").is_some_and(|help| help.starts_with("call it A.schema.json and")));
        assert!(named("A.SCHEMA.JSON").is_some_and(|help| help.starts_with("call it A.schema.json")));
        assert!(named("B.json").is_some_and(|help| help.starts_with("call it B.avsc")));
    }

    #[test]
    fn a_schema_of_no_trigger_is_told_with_the_type_that_was_meant() {
        let schemas = [
            SourceFile::new("a.schema.json", r#"{"properties": {}}"#),
            SourceFile::new("Other.schema.json", r#"{"title": "Quite"}"#),
            SourceFile::new("b.avsc", r#"{"type": "record", "name": "B", "namespace": "shop", "fields": []}"#),
        ];
        let types = BTreeSet::from(["A".to_owned(), "B".to_owned()]);
        let all = told(&unused_schemas(&schemas, &types, true));
        assert_eq!(
            all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["a.schema.json", "Other.schema.json"]
        );
        assert_eq!(all[0].1, "did you mean `A`?");
        let of_one_file = told(&unused_schemas(&schemas, &types, false));
        assert_eq!(of_one_file, all[..1]);
    }
}
