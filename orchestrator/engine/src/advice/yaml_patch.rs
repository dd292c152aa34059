//! The advised values as YAML: the keys of a file, as deep as they stand there.

use super::{
    present::PresentSettings,
    setting::SettingScope,
    verdict::{JudgedSetting, RuleVerdict},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// What to write into one file. A key that is there already is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct YamlPatch {
    /// The file.
    pub file: String,
    /// The keys with their values.
    pub yaml: String,
}

/// A key and its value.
type PatchedKey = (&'static str, String);

/// What is advised, by file.
pub(super) fn patches(judged: &[JudgedSetting], present: &PresentSettings) -> Vec<YamlPatch> {
    let mut by_scope: BTreeMap<&SettingScope, Vec<PatchedKey>> = BTreeMap::new();
    for it in judged {
        let RuleVerdict::Change(advice) = &it.verdict else { continue };
        by_scope.entry(&it.scope).or_default().push((it.key.as_str(), advice.value.to_string()));
    }
    let participants: Vec<_> = by_scope.iter().filter(|(scope, _)| scope.saga().is_none()).collect();
    let mut patches = Vec::new();
    if !participants.is_empty() {
        let file = present.participants.as_ref().map_or("participants.yaml", |given| given.file.as_str());
        let yaml = participants.iter().fold("participants:\n".to_owned(), |yaml, (scope, keys)| {
            format!("{yaml}  {}:\n{}", scope.path()[1], lines(keys, 4))
        });
        patches.push(YamlPatch { file: file.to_owned(), yaml });
    }
    let mut sagas: BTreeMap<&str, Vec<(&SettingScope, &Vec<PatchedKey>)>> = BTreeMap::new();
    for (scope, keys) in &by_scope {
        scope.saga().into_iter().for_each(|saga| sagas.entry(saga).or_default().push((*scope, keys)));
    }
    patches.extend(
        sagas.into_iter().map(|(saga, scopes)| YamlPatch { file: present.file_of(saga), yaml: of_saga(&scopes) }),
    );
    patches
}

fn of_saga(scopes: &[(&SettingScope, &Vec<PatchedKey>)]) -> String {
    let (mut above, mut steps) = (String::new(), BTreeMap::<&str, (String, String)>::new());
    for (scope, keys) in scopes {
        match scope {
            SettingScope::Participant(_) => {}
            SettingScope::Saga(_) => above.push_str(&lines(keys, 0)),
            SettingScope::Step { step, .. } => steps.entry(step).or_default().0.push_str(&lines(keys, 4)),
            SettingScope::Undo { step, .. } => steps.entry(step).or_default().1.push_str(&lines(keys, 6)),
        }
    }
    if !steps.is_empty() {
        above.push_str("steps:\n");
    }
    steps.into_iter().fold(above, |yaml, (step, (keys, undo))| {
        let undo = if undo.is_empty() { undo } else { format!("    undo:\n{undo}") };
        format!("{yaml}  - step: {step}\n{keys}{undo}")
    })
}

fn lines(keys: &[PatchedKey], indent: usize) -> String {
    keys.iter().map(|(key, value)| format!("{:indent$}{key}: {value}\n", "")).collect()
}
