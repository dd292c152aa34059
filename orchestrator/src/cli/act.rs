//! `retry`, `skip`, `cancel`, `abandon`: ask the API, which brings the act to the saga's owner.

use super::{
    output,
    server::{ServerArgs, encoded},
};
use crate::shell::quoted;
use clap::{Args, ValueEnum};
use saga_core::event::OperatorAction;
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

#[derive(Debug, Args)]
pub(super) struct ActArgs {
    /// The saga's id, or its business key
    #[arg(value_name = "ID|KEY")]
    name: String,
    /// Why; goes into the saga's journal
    #[arg(long)]
    reason: String,
    /// Who; goes into the saga's journal
    #[arg(long, default_value_t = super::who::types(), hide_default_value = true)]
    who: String,
    /// Which definition, where several have sagas with this key
    #[arg(long, value_name = "NAME")]
    saga: Option<String>,
    /// Identity of the act: repeated under the same one, it is done once. Random and printed by default
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Only say what it would lead to
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for what comes of it, in seconds, at most 10: until the saga waits, is parked or has ended
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=10))]
    wait: u64,
    #[command(flatten)]
    server: ServerArgs,
}

/// An act that may be about one step.
#[derive(Debug, Args)]
pub(super) struct StepActArgs {
    #[command(flatten)]
    act: ActArgs,
    /// The step that it is about; refused if the saga does not wait for it
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
    /// Which of its commands: it is refused if the saga waits for the other one
    #[arg(long, value_enum, requires = "step")]
    direction: Option<Way>,
}

/// A retry, by what the saga runs by or by another text of its definition.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    act: StepActArgs,
    /// Go on by another text of the definition, if it fits where the saga stands: `current`, or a hash or its beginning
    #[arg(long, value_name = "current|HASH", conflicts_with = "step")]
    definition: Option<String>,
}

/// Which of a step's commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    /// What performs it
    Do,
    /// What undoes it
    Undo,
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Way::Do => "do",
            Way::Undo => "undo",
        }
    }
}

/// On which step, if on one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct On {
    step: Option<String>,
    direction: Option<String>,
}

impl On {
    /// As the engine tells it.
    fn told(answer: &Value) -> On {
        let text = |key: &str| answer[key].as_str().map(str::to_owned);
        On { step: text("step"), direction: text("direction") }
    }

    fn words(&self) -> String {
        match (&self.step, self.direction.as_deref()) {
            (Some(step), Some("undo")) => format!("the undo of step {step}, "),
            (Some(step), _) => format!("step {step}, "),
            (None, _) => String::new(),
        }
    }
}

/// On the whole saga.
pub(super) async fn act(args: ActArgs, action: OperatorAction) -> anyhow::Result<ExitCode> {
    Act::new(args, action, On::default()).perform().await
}

/// On one step, or on whatever waits.
pub(super) async fn act_on_step(args: StepActArgs, action: OperatorAction) -> anyhow::Result<ExitCode> {
    let on = On { step: args.step, direction: args.direction.map(|way| way.as_str().to_owned()) };
    Act::new(args.act, action, on).perform().await
}

/// On one step, or on whatever waits, and by another text of the definition if one is named.
pub(super) async fn retry(args: RetryArgs) -> anyhow::Result<ExitCode> {
    let StepActArgs { act, step, direction } = args.act;
    let on = On { step, direction: direction.map(|way| way.as_str().to_owned()) };
    let act = Act::new(act, OperatorAction::Retry, on);
    Act { definition: args.definition, ..act }.perform().await
}

/// What is asked of an engine.
struct Act {
    args: ActArgs,
    id: String,
    action: OperatorAction,
    on: On,
    /// Of a retry.
    definition: Option<String>,
}

impl Act {
    fn new(args: ActArgs, action: OperatorAction, on: On) -> Act {
        let id = args.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
        Act { args, id, action, on, definition: None }
    }

    async fn perform(self) -> anyhow::Result<ExitCode> {
        let answer = match self.args.server.open()?.post(&self.path(), &self.body()).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.unheard(error)),
        };
        output::line(&told(self.action, &answer))?;
        if answer["asWanted"] == json!(false) {
            return Ok(ExitCode::from(1));
        }
        if answer["status"].as_str().is_some_and(|status| status.starts_with("accepted")) {
            let command = self.again(&On::told(&answer));
            output::note(&format!("hint: ask again what became of it; this does nothing twice:\n  {command}"));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn path(&self) -> String {
        let name = self.args.name.as_str();
        // Every client takes these two for steps through the path, however they are encoded.
        let (segment, key) = if matches!(name, "." | "..") { ("-", Some(name)) } else { (name, None) };
        let asked = [("saga", self.args.saga.as_deref()), ("key", key)];
        let pairs = asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
        let query = pairs.collect::<Vec<_>>().join("&");
        let path = format!("/api/sagas/{}/{}", encoded(segment), self.action.as_str());
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }

    fn body(&self) -> Value {
        let mut body = json!({"id": self.id, "who": self.args.who, "reason": self.args.reason});
        body["dryRun"] = json!(self.args.dry_run);
        body["waitMs"] = json!(self.args.wait * 1000);
        let more = [("step", &self.on.step), ("direction", &self.on.direction), ("definition", &self.definition)];
        for (name, value) in more {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        body
    }

    /// Where the engine was asked and its answer did not arrive, the act may have been taken.
    fn unheard(&self, error: anyhow::Error) -> anyhow::Error {
        let lost =
            error.downcast_ref::<reqwest::Error>().is_some_and(|error| !error.is_connect() && !error.is_builder());
        if !lost {
            return error;
        }
        let command = self.again(&self.on);
        error.context(format!("the act may have been taken\nhint: ask again; this does nothing twice:\n  {command}"))
    }

    /// The command that repeats the act.
    fn again(&self, on: &On) -> String {
        let options = [
            ("--saga", self.args.saga.as_deref()),
            ("--step", on.step.as_deref()),
            ("--direction", on.direction.as_deref()),
            ("--definition", self.definition.as_deref()),
            ("--id", Some(self.id.as_str())),
            ("--who", Some(self.args.who.as_str())),
            ("--reason", Some(self.args.reason.as_str())),
        ];
        let given = options.into_iter().filter_map(|(name, value)| Some(format!(" {name} {}", quoted(value?))));
        format!("saga {} {}{}", self.action.as_str(), quoted(&self.args.name), given.collect::<String>())
    }
}

/// What came of an act, or would: `retry …: applied, and parked again at once: …`
fn told(action: OperatorAction, answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    let on = On::told(answer).words();
    if !answer["leadsTo"].is_null() {
        return format!("{} {}: would lead to {}. Nothing was done", action.as_str(), text("saga"), leads_to(answer));
    }
    let status = match answer["appliedAt"].as_str() {
        Some(at) => format!("applied before, at {at}; nothing was done again"),
        None => text("status").to_owned(),
    };
    let now = came_of(action, answer).unwrap_or_default();
    format!("{} {}: {status}{now} ({on}act {})", action.as_str(), text("saga"), text("id"))
}

fn came_of(action: OperatorAction, answer: &Value) -> Option<String> {
    let status = answer["now"]["status"].as_str()?;
    let place = place(&answer["now"]);
    Some(match (status, action) {
        ("parked", OperatorAction::Retry | OperatorAction::Skip) if answer["appliedAt"].is_null() => {
            format!(", and parked again at once{place}")
        }
        _ => format!("; now {status}{place}"),
    })
}

/// Where a saga is, and why: `, at charge: http.422`
fn place(line: &Value) -> String {
    let part = |before: &str, key: &str| line[key].as_str().map(|text| format!("{before}{text}")).unwrap_or_default();
    format!("{}{}", part(", at ", "step"), part(": ", "reason"))
}

fn leads_to(answer: &Value) -> String {
    let prospect = &answer["leadsTo"];
    let status = prospect["status"].as_str().unwrap_or_default();
    let names = |key: &str| {
        let names = prospect[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(", ")
    };
    let part = |before: &str, key: &str| match names(key) {
        names if names.is_empty() => String::new(),
        names => format!("; {before} {names}"),
    };
    let parts = [part("starts", "starts"), part("undoes", "undoes"), part("leaves as they are", "leaves")].concat();
    format!("{status}{}{parts}", place(prospect))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Skip {
        #[command(flatten)]
        args: StepActArgs,
    }

    fn skip(line: &[&str]) -> Act {
        let line = [&["skip", "4711", "--reason", "it isn't there", "--who", "ada"], line].concat();
        Act::new(Skip::parse_from(line).args.act, OperatorAction::Skip, On::default())
    }

    #[test]
    fn the_command_that_repeats_an_act_names_its_step_and_its_id() {
        let act = skip(&[]);
        let answer = json!({"step": "charge", "direction": "do"});
        let expected = format!(
            "saga skip 4711 --step charge --direction do --id {} --who ada --reason 'it isn'\\''t there'",
            act.id
        );
        assert_eq!(act.again(&On::told(&answer)), expected);
    }

    #[test]
    fn every_key_reaches_the_engine_as_it_is() {
        let path = |key: &str| {
            let line = ["skip", key, "--reason", "r", "--who", "ada", "--saga", "a b"];
            Act::new(Skip::parse_from(line).args.act, OperatorAction::Skip, On::default()).path()
        };
        assert_eq!(path("acme/7%"), "/api/sagas/acme%2F7%25/skip?saga=a%20b");
        assert_eq!(path(".."), "/api/sagas/%2D/skip?saga=a%20b&key=%2E%2E");
    }

    #[test]
    fn each_act_has_an_id_of_its_own_unless_it_is_given_one() {
        assert_ne!(skip(&[]).id, skip(&[]).id);
        assert_eq!(skip(&["--id", "7"]).id, "7");
    }

    #[test]
    fn a_repeat_is_told_as_one() {
        let answer = json!({"status": "applied", "saga": "s", "id": "7", "step": "charge", "direction": "undo"});
        assert_eq!(told(OperatorAction::Skip, &answer), "skip s: applied (the undo of step charge, act 7)");
        let repeat = json!({"status": "applied", "saga": "s", "id": "7", "appliedAt": "2026-11-29T08:00:00.000Z"});
        let told = told(OperatorAction::Retry, &repeat);
        assert_eq!(told, "retry s: applied before, at 2026-11-29T08:00:00.000Z; nothing was done again (act 7)");
    }
}
