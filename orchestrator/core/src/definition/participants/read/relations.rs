//! The capabilities of participants, and the participants that they need.

use super::ParticipantReader;
use crate::definition::{
    diagnostic::{Code, FindingCollector, did_you_mean},
    fields::{self, MapReader, wrong},
    graph::find_cycle,
    spanned::SpannedValue,
    target,
    tree::YamlValue,
};
use std::collections::{BTreeMap, BTreeSet};

/// Most names in one list: each is asked about whenever a participant is chosen.
const MAX_NAMES: usize = 100;

/// What each participant needs, by its name.
pub(super) type DependencyMap = BTreeMap<String, Vec<SpannedValue<String>>>;

impl ParticipantReader<'_> {
    pub(super) fn capabilities(&mut self, fields: &MapReader<'_>) -> BTreeSet<String> {
        let mut capabilities = BTreeSet::new();
        for name in self.names(fields, "capabilities", "[text-analysis]") {
            if target::is_capability(&name.value) {
                capabilities.insert(name.value);
            } else {
                let message = format!("`{}` cannot be the name of a capability", name.value);
                let help = "lower-case letters, digits and `-`, a letter first: text-analysis";
                self.report.error(Code::BadName, name.span, message).help(help);
            }
        }
        capabilities
    }

    pub(super) fn depends_on(&mut self, fields: &MapReader<'_>) -> Vec<SpannedValue<String>> {
        self.names(fields, "dependsOn", "[database]")
    }

    fn names(&mut self, fields: &MapReader<'_>, key: &str, example: &str) -> Vec<SpannedValue<String>> {
        let Some(node) = fields.node(key) else { return Vec::new() };
        let YamlValue::List(items) = &node.value else {
            wrong(&mut self.report, node, &format!("`{key}` must be a list of names"))
                .help(format!("write {key}: {example}"));
            return Vec::new();
        };
        if let Some(item) = items.get(MAX_NAMES) {
            let message = format!("{} names; at most {MAX_NAMES} are possible", items.len());
            self.report.error(Code::TooLarge, item.span, message).help("remove some of them");
        }
        let texts = items.iter().map(|item| (item.span, fields::text(item, &mut self.report)));
        texts.filter_map(|(span, text)| text.map(|value| SpannedValue { value, span })).collect()
    }
}

/// Reports names that no participant has, and participants that need each other in a circle.
pub(super) fn check(needs: &DependencyMap, report: &mut FindingCollector) {
    let names: Vec<&str> = needs.keys().map(String::as_str).collect();
    let mut edges = Vec::with_capacity(names.len());
    for needed in needs.values() {
        edges.push(needed.iter().filter_map(|name| position(&names, name, report)).collect());
    }
    let mut circle = find_cycle(&edges);
    // The circle begins with the needed participant; the message says "a needs b".
    circle.get_mut(1..).unwrap_or_default().reverse();
    if let [first, ..] = circle[..] {
        let next = circle.get(1).copied().unwrap_or(first);
        let circle: Vec<&str> = circle.iter().chain([&first]).map(|at| names[*at]).collect();
        let edge = needs[names[first]].iter().find(|name| name.value == names[next]).expect("an edge of the circle");
        let message = format!("the participants depend on each other: {}", circle.join(" → "));
        report.error(Code::Cycle, edge.span, message).help("remove a name of this circle from `dependsOn`");
    }
}

fn position(names: &[&str], name: &SpannedValue<String>, report: &mut FindingCollector) -> Option<usize> {
    let found = names.binary_search(&name.value.as_str()).ok();
    if found.is_none() {
        let help = did_you_mean(&name.value, names.iter().copied());
        let message = format!("there is no participant `{}`", name.value);
        report
            .error(Code::UnknownParticipant, name.span, message)
            .help(help.unwrap_or_else(|| "name a participant of this file".into()));
    }
    found
}
