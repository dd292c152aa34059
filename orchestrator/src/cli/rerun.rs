//! `rerun`: the API brings the act to the owner of the ended saga, which begins a saga that runs it again.

use super::{
    OutputFormat,
    operator::{self, OperatorArgs, line},
    output,
    server::{ServerArgs, encoded},
};
use crate::shell::quoted;
use clap::{Args, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

/// Arguments of `saga rerun`.
#[derive(Debug, Args)]
pub(super) struct RerunArgs {
    /// Id or business key of a saga that has ended
    #[arg(value_name = "ID|KEY")]
    name: String,
    /// Name of the definition, if sagas of several definitions have the key
    #[arg(long, value_name = "NAME")]
    saga: Option<String>,
    /// The first step that is performed again. Steps that do not depend on it are taken over with their outcomes.
    /// Without it all steps are performed again
    #[arg(long, value_name = "STEP", value_parser = NonEmptyStringValueParser::new())]
    from: Option<String>,
    /// Run again although effects stay that the new saga does not take over, or although it begins behind the pivot
    #[arg(long)]
    force: bool,
    /// The definition of the new saga: `current`, or the beginning of a hash [default: the one that the ended saga ran
    /// by]
    #[arg(long, value_name = "current|HASH")]
    definition: Option<String>,
    #[command(flatten)]
    operator: OperatorArgs,
    /// Id of the act. A repeat with the same id finds the saga that it began [default: a random id, which is printed]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Change nothing; only show what the act would lead to
    #[arg(long)]
    dry_run: bool,
    /// How long to wait until the new saga waits, is parked or has ended: 0 to 10 seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=10))]
    wait: u64,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn rerun(args: RerunArgs) -> anyhow::Result<ExitCode> {
    let id = args.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    let answer = match args.server.open()?.post(&path(&args), &body(&args, &id)).await {
        Ok(answer) => answer,
        Err(error) => return Err(unheard(&args, &id, error)),
    };
    output::one(&answer, args.output, text)?;
    if operator::is_only_accepted(&answer) {
        let command = again(&args, &id);
        output::note(&format!("hint: this command asks for the result, and does nothing twice:\n  {command}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn path(args: &RerunArgs) -> String {
    // Every HTTP client resolves these two as parts of the path, however they are encoded.
    let (segment, key) =
        if matches!(args.name.as_str(), "." | "..") { ("-", Some(&args.name)) } else { (args.name.as_str(), None) };
    let asked = [("saga", args.saga.as_ref()), ("key", key)];
    let pairs = asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
    let query = pairs.collect::<Vec<_>>().join("&");
    let path = format!("/api/sagas/{}/rerun", encoded(segment));
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

fn body(args: &RerunArgs, id: &str) -> Value {
    let mut body = args.operator.body();
    body["id"] = json!(id);
    body["force"] = json!(args.force);
    body["dryRun"] = json!(args.dry_run);
    body["waitMs"] = json!(args.wait * 1000);
    for (name, value) in [("from", &args.from), ("definition", &args.definition)] {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    body
}

/// If the request was sent and no answer arrived, the engine may have taken the act.
fn unheard(args: &RerunArgs, id: &str, error: anyhow::Error) -> anyhow::Error {
    let is_lost =
        error.downcast_ref::<reqwest::Error>().is_some_and(|error| !error.is_connect() && !error.is_builder());
    if !is_lost {
        return error;
    }
    let command = again(args, id);
    error.context(format!(
        "the engine may have taken the act\nhint: send it again; this command does nothing twice:\n  {command}"
    ))
}

/// The command that repeats the act.
fn again(args: &RerunArgs, id: &str) -> String {
    let (which, engine) = args.server.again();
    let options = [
        ("--saga", args.saga.as_deref()),
        ("--from", args.from.as_deref()),
        ("--definition", args.definition.as_deref()),
        ("--id", Some(id)),
        ("--who", args.operator.who.as_deref()),
        ("--reason", Some(args.operator.reason.as_str())),
        (which, Some(engine.as_str())),
    ];
    let given = options.into_iter().filter_map(|(name, value)| Some(format!(" {name} {}", quoted(value?))));
    let force = if args.force { " --force" } else { "" };
    format!("saga rerun {}{force}{}", quoted(&args.name), given.collect::<String>())
}

/// `rerun …: applied; 01a2… runs it again, now completed (act …)`
fn text(answer: &Value) -> String {
    let said = |key: &str| answer[key].as_str().unwrap_or_default();
    if !answer["leadsTo"].is_null() {
        return line(
            "rerun",
            said("saga"),
            &format!("would begin a saga that is {}. Nothing was done", prospect(answer)),
        );
    }
    let by = match (answer["rerun"].as_str(), answer["repeated"] == json!(true)) {
        (Some(rerun), true) => format!("; {rerun} runs it again since an earlier act with this id; nothing was done"),
        (Some(rerun), false) => format!("; {rerun} runs it again"),
        (None, _) => String::new(),
    };
    let now = answer["now"]["status"].as_str().map(|status| format!(", now {status}")).unwrap_or_default();
    line("rerun", said("saga"), &format!("{}{by}{now} (act {})", said("status"), said("id")))
}

fn prospect(answer: &Value) -> String {
    let names = |names: &Value| {
        let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(", ")
    };
    let part = |before: &str, list: &Value| match names(list) {
        names if names.is_empty() => String::new(),
        names => format!("; {before} {names}"),
    };
    let leads_to = &answer["leadsTo"];
    [
        leads_to["status"].as_str().unwrap_or_default().to_owned(),
        part("takes over", &answer["takesOver"]),
        part("starts", &leads_to["starts"]),
        part("leaves as they are, beside its own:", &answer["standing"]),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct RerunCommandLine {
        #[command(flatten)]
        args: RerunArgs,
    }

    fn args(line: &[&str]) -> RerunArgs {
        let line = [&["rerun", "a/1", "--reason", "why not", "--who", "ada"], line].concat();
        RerunCommandLine::parse_from(line).args
    }

    #[test]
    fn the_request_names_what_the_command_names() {
        let args = args(&["--from", "charge", "--force", "--saga", "order", "--wait", "0"]);
        assert_eq!(path(&args), "/api/sagas/a%2F1/rerun?saga=order");
        let expected = json!({
            "who": "ada", "reason": "why not", "id": "7", "force": true, "dryRun": false, "waitMs": 0, "from": "charge",
        });
        assert_eq!(body(&args, "7"), expected);
    }

    #[test]
    fn the_command_that_repeats_the_act_has_its_id() {
        let args = args(&["--from", "charge", "--force", "--server", "http://localhost:9001"]);
        let expected =
            "saga rerun a/1 --force --from charge --id 7 --who ada --reason 'why not' --server http://localhost:9001";
        assert_eq!(again(&args, "7"), expected);
    }

    #[test]
    fn a_result_is_one_line() {
        let begun = json!({"status": "applied", "id": "7", "saga": "s", "rerun": "t", "now": {"status": "completed"}});
        assert_eq!(text(&begun), "rerun s: applied; t runs it again, now completed (act 7)");
        let dry = json!({
            "saga": "s", "takesOver": ["reserve"], "standing": [], "leadsTo": {"status": "running", "starts": ["charge"]},
        });
        let expected =
            "rerun s: would begin a saga that is running; takes over reserve; starts charge. Nothing was done";
        assert_eq!(text(&dry), expected);
    }
}
