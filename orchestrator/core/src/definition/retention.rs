//! Reads `retention`: a duration, or a map.

use super::{
    diagnostic::FindingCollector,
    fields::{self, MapReader},
    keys::RETENTION,
    model::{RetentionRule, RetentionTarget},
    tree::{YamlNode, YamlValue},
};

pub(super) fn read(fields: &MapReader<'_>, report: &mut FindingCollector) -> Option<RetentionRule> {
    let node = fields.node("retention")?;
    match &node.value {
        YamlValue::Map(_) => parts(node, report),
        YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Float(_)
        | YamlValue::Text(_)
        | YamlValue::List(_) => {
            let after = fields::duration(node, report)?;
            Some(RetentionRule { after, to: RetentionTarget::Archive })
        }
    }
}

fn parts(node: &YamlNode, report: &mut FindingCollector) -> Option<RetentionRule> {
    let fields = MapReader::read(node, &RETENTION, report)?;
    let after = fields.duration("after", report);
    let to = match fields.choice("to", &["archive", "drop"], report) {
        Some("drop") => RetentionTarget::Drop,
        Some(_) | None => RetentionTarget::Archive,
    };
    Some(RetentionRule { after: after?, to })
}
