//! `definitions list`: which definitions start sagas on an engine.

use super::{
    output,
    server::{NEWER_ENGINE, ServerOutputArgs},
};
use crate::api::DefinitionLine;
use anyhow::Context;
use clap::Subcommand;
use serde_json::Value;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum DefinitionsCommand {
    /// List the definitions that start sagas on an engine
    List(ServerOutputArgs),
}

/// Digits of a hash that are shown: enough to tell definitions apart.
const SHORT_HASH: usize = 12;

pub(super) async fn run(command: DefinitionsCommand) -> anyhow::Result<ExitCode> {
    match command {
        DefinitionsCommand::List(args) => {
            let answer = args.server.open()?.get("/api/definitions").await?;
            let lines = answer["definitions"].as_array().cloned().unwrap_or_default();
            let typed = typed(&lines)?;
            output::many(&lines, args.output, |_| table(&typed))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What the table shows; as JSON and YAML the lines are printed as the engine sent them.
fn typed(lines: &[Value]) -> anyhow::Result<Vec<DefinitionLine>> {
    let lines: Result<_, _> = lines.iter().cloned().map(serde_json::from_value).collect();
    lines.context(NEWER_ENGINE)
}

fn table(lines: &[DefinitionLine]) -> String {
    let row = |line: &DefinitionLine| {
        let hash: String = line.definition.chars().take(SHORT_HASH).collect();
        let (steps, participants) = (line.steps.join(", "), line.participants.join(", "));
        [line.name.clone(), hash, line.topic.clone(), line.event_type.clone().unwrap_or_default(), steps, participants]
    };
    output::table(["definition", "hash", "topic", "type", "steps", "participants"], lines.iter().map(row))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_definition_is_a_line_with_a_short_hash() {
        let line = json!({"name": "order", "definition": "53ac66d588e5240f", "policies": "1f", "topic": "shop.orders",
            "type": "OrderPlaced", "steps": ["reserve", "charge"], "participants": ["stock"], "added": "later"});
        let shown = super::table(&super::typed(&[line]).expect("an engine's line"));
        for part in ["order", "53ac66d588e5 ", "shop.orders", "OrderPlaced", "reserve, charge", "stock"] {
            assert!(shown.contains(part), "{part} is missing:\n{shown}");
        }
    }
}
