//! `definitions list`: which definitions start sagas on an engine.

use super::{output, server::ServerOutputArgs};
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
            output::many(&lines, args.output, table)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn table(lines: &[Value]) -> String {
    let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let words = |line: &Value, key: &str| {
        let words = line[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(", ")
    };
    let row = |line: &Value| {
        let hash: String = word(line, "definition").chars().take(SHORT_HASH).collect();
        [
            word(line, "name"),
            hash,
            word(line, "topic"),
            word(line, "type"),
            words(line, "steps"),
            words(line, "participants"),
        ]
    };
    output::table(["definition", "hash", "topic", "type", "steps", "participants"], lines.iter().map(row))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_definition_is_a_line_with_a_short_hash() {
        let line = json!({"name": "order", "definition": "53ac66d588e5240f", "topic": "shop.orders", "type": "OrderPlaced",
            "steps": ["reserve", "charge"], "participants": ["stock"]});
        let shown = super::table(&[line]);
        for part in ["order", "53ac66d588e5 ", "shop.orders", "OrderPlaced", "reserve, charge", "stock"] {
            assert!(shown.contains(part), "{part} is missing:\n{shown}");
        }
    }
}
