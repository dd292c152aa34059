//! `retry`, `skip`, `cancel`, `abandon`, `erase`: the API brings the act to the owner of the saga; a job brings
//! it to several sagas.

pub(super) mod job;
pub(super) mod results;

use super::{
    OutputFormat,
    operator::{self, OperatorArgs},
    output,
    selection::SelectionArgs,
    server::{ServerArgs, encoded},
};
use crate::shell::quoted;
use anyhow::bail;
use clap::{Args, ValueEnum, builder::NonEmptyStringValueParser};
use saga_core::event::OperatorAction;
use saga_engine::journal::reading::SagaQuery;
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

/// How long the command waits for the result of one act.
const USUAL_WAIT_SECONDS: u64 = 3;

#[derive(Clone, Debug, Args)]
pub(super) struct SagaActArgs {
    /// Ids or business keys of sagas; without any, options like --status choose the sagas
    #[arg(value_name = "ID|KEY")]
    names: Vec<String>,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten, next_help_heading = "Choose sagas (without ids and keys)")]
    selection: SelectionArgs,
    /// Id of the act or of the job. A repeat with the same id changes nothing [default: a random id, which is
    /// printed]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Change nothing; only show what the act would lead to
    #[arg(long)]
    dry_run: bool,
    /// How long to wait until the saga waits, is parked or has ended: 0 to 10 seconds [default: 3; for many sagas 1
    /// each]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=10))]
    wait: Option<u64>,
    /// For many sagas: sagas per second, 1 to 500 [default: 20, which does not overload participants that failed]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pace: Option<u32>,
    /// Format of the results for many sagas
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of an act that may be about one step.
#[derive(Debug, Args)]
pub(super) struct StepActArgs {
    #[command(flatten)]
    act: SagaActArgs,
    /// The command of the step that --step means; the engine refuses the act if the saga waits for the other command
    #[arg(long, value_enum, requires = "step")]
    direction: Option<DirectionArg>,
    /// Only sagas of the definition whose hash begins like this
    #[arg(long = "definition", value_name = "HASH", value_parser = NonEmptyStringValueParser::new())]
    goes_by: Option<String>,
}

/// Arguments of an act on whole sagas.
#[derive(Debug, Args)]
pub(super) struct WholeActArgs {
    #[command(flatten)]
    act: SagaActArgs,
    /// Only sagas of the definition whose hash begins like this
    #[arg(long = "definition", value_name = "HASH", value_parser = NonEmptyStringValueParser::new())]
    goes_by: Option<String>,
}

/// Arguments of an erasure.
#[derive(Debug, Args)]
pub(super) struct EraseArgs {
    #[command(flatten)]
    act: SagaActArgs,
    /// Only sagas of the definition whose hash begins like this
    #[arg(long = "definition", value_name = "HASH", value_parser = NonEmptyStringValueParser::new())]
    goes_by: Option<String>,
    /// Erase the sagas that the named one runs again, and those that run it again, too: each has the trigger
    #[arg(long)]
    with_reruns: bool,
}

/// Arguments of a retry: with the definition that the saga has, or with another version of it.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    act: SagaActArgs,
    /// The command of the step that --step means; the engine refuses the act if the saga waits for the other command
    #[arg(long, value_enum, requires = "step")]
    direction: Option<DirectionArg>,
    /// Go on with another version of the definition, if it fits the journal of the saga: `current`, or the beginning of
    /// a hash
    #[arg(long, value_name = "current|HASH")]
    definition: Option<String>,
    /// Only sagas of the definition whose hash begins like this
    #[arg(long = "from-definition", value_name = "HASH", value_parser = NonEmptyStringValueParser::new())]
    goes_by: Option<String>,
}

/// One of the two commands of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DirectionArg {
    /// The command that does the step
    Do,
    /// The command that undoes the step
    Undo,
}

impl DirectionArg {
    fn as_str(self) -> &'static str {
        match self {
            DirectionArg::Do => "do",
            DirectionArg::Undo => "undo",
        }
    }
}

/// The step that an act is about, if it is about one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct StepSelector {
    step: Option<String>,
    direction: Option<String>,
}

impl StepSelector {
    fn of(args: &SagaActArgs, direction: Option<DirectionArg>) -> StepSelector {
        StepSelector { step: args.selection.step.clone(), direction: direction.map(|way| way.as_str().to_owned()) }
    }

    /// From the answer of an engine.
    fn told(answer: &Value) -> StepSelector {
        let text = |key: &str| answer[key].as_str().map(str::to_owned);
        StepSelector { step: text("step"), direction: text("direction") }
    }
}

/// Performs an act on whole sagas: `--step` only chooses sagas.
pub(super) async fn act(args: WholeActArgs, action: OperatorAction) -> anyhow::Result<ExitCode> {
    let WholeActArgs { act, goes_by } = args;
    SagaActRequest { goes_by, ..SagaActRequest::new(act, action, StepSelector::default()) }.perform().await
}

/// Erases sagas. Of one saga also those that run it again, each by an act of its own.
pub(super) async fn erase(args: EraseArgs) -> anyhow::Result<ExitCode> {
    let EraseArgs { act, goes_by, with_reruns } = args;
    let request =
        SagaActRequest { goes_by, ..SagaActRequest::new(act, OperatorAction::Erase, StepSelector::default()) };
    let ActScope::One(name) = request.whose()? else {
        if with_reruns {
            bail!("--with-reruns is for one saga: name it by its id or key");
        }
        return request.perform_on_many().await;
    };
    let (answer, code) = request.answered(name).await?;
    let reruns: Vec<&str> = answer["reruns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !with_reruns || request.args.dry_run {
        if !reruns.is_empty() {
            let (how, ids) = ("--with-reruns erases them, too", reruns.join(", "));
            output::note(&format!(
                "sagas that it runs again, or that run it again, have the same trigger: {ids}; {how}"
            ));
        }
        return Ok(code);
    }
    for rerun in reruns {
        let id = format!("{}:{rerun}", request.id);
        SagaActRequest { id, ..request.clone() }.answered(rerun).await?;
    }
    Ok(code)
}

/// Performs an act on one step, or on everything that waits.
pub(super) async fn act_on_step(args: StepActArgs, action: OperatorAction) -> anyhow::Result<ExitCode> {
    let StepActArgs { act, direction, goes_by } = args;
    let on = StepSelector::of(&act, direction);
    SagaActRequest { goes_by, ..SagaActRequest::new(act, action, on) }.perform().await
}

/// Retries one step, or everything that waits, with another version of the definition if one is named.
pub(super) async fn retry(args: RetryArgs) -> anyhow::Result<ExitCode> {
    let RetryArgs { act, direction, definition, goes_by } = args;
    let mut on = StepSelector::of(&act, direction);
    // With another version everything that waits is tried again, so a step can only choose sagas.
    if definition.is_some() && act.names.is_empty() {
        on = StepSelector::default();
    }
    SagaActRequest { definition, goes_by, ..SagaActRequest::new(act, OperatorAction::Retry, on) }.perform().await
}

/// An act as the command asks an engine for it.
#[derive(Clone)]
struct SagaActRequest {
    args: SagaActArgs,
    id: String,
    action: OperatorAction,
    on: StepSelector,
    /// The version of the definition that a retry goes on with.
    definition: Option<String>,
    /// The beginning of the hash of the definition that the chosen sagas have.
    goes_by: Option<String>,
}

/// How the arguments name sagas.
enum ActScope<'a> {
    One(&'a str),
    Several,
    Chosen,
}

impl SagaActRequest {
    fn new(args: SagaActArgs, action: OperatorAction, on: StepSelector) -> SagaActRequest {
        let id = args.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
        SagaActRequest { args, id, action, on, definition: None, goes_by: None }
    }

    async fn perform(self) -> anyhow::Result<ExitCode> {
        match self.whose()? {
            ActScope::One(name) => self.perform_on(name).await,
            ActScope::Several | ActScope::Chosen => self.perform_on_many().await,
        }
    }

    fn whose(&self) -> anyhow::Result<ActScope<'_>> {
        let wanted = SagaQuery { definition: self.goes_by.clone(), ..self.args.selection.wanted() };
        // With a named saga these two say whose key it is, and which step the act is about.
        let chooses_others = SagaQuery { saga: None, step: None, ..wanted.clone() }.chooses();
        match (self.args.names.as_slice(), chooses_others) {
            ([], _) if !wanted.chooses() => bail!(
                "no sagas are named: give ids or keys, or choose sagas by options: --status parked --code http.422"
            ),
            ([], _) => Ok(ActScope::Chosen),
            (_, true) => bail!("name sagas, or choose them by options, not both"),
            (_, false) if self.on.step.is_none() && wanted.step.is_some() && self.definition.is_none() => {
                bail!(
                    "{} acts on the whole saga: --step is only for choosing sagas, without ids and keys",
                    self.action.as_str()
                )
            }
            ([name], false) => Ok(ActScope::One(name)),
            (_, false) => Ok(ActScope::Several),
        }
    }

    async fn perform_on(&self, name: &str) -> anyhow::Result<ExitCode> {
        self.answered(name).await.map(|(_, code)| code)
    }

    /// Performs the act and prints what came of it.
    async fn answered(&self, name: &str) -> anyhow::Result<(Value, ExitCode)> {
        let answer = match self.args.server.open()?.post(&self.path(name), &self.body()).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.unheard(error)),
        };
        output::line(&results::one(self.action, &answer))?;
        if answer["asWanted"] == json!(false) {
            return Ok((answer, ExitCode::from(1)));
        }
        if operator::is_only_accepted(&answer) {
            let command = self.again(&StepSelector::told(&answer));
            output::note(&format!("hint: this command asks for the result, and does nothing twice:\n  {command}"));
        }
        Ok((answer, ExitCode::SUCCESS))
    }

    fn path(&self, name: &str) -> String {
        // Every HTTP client resolves these two as parts of the path, however they are encoded.
        let (segment, key) = if matches!(name, "." | "..") { ("-", Some(name)) } else { (name, None) };
        let asked = [("saga", self.args.selection.saga.as_deref()), ("key", key)];
        let pairs = asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
        let query = pairs.collect::<Vec<_>>().join("&");
        let path = format!("/api/sagas/{}/{}", encoded(segment), self.action.as_str());
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }

    fn body(&self) -> Value {
        self.body_waiting(USUAL_WAIT_SECONDS)
    }

    /// The fields that an act on one saga and a job share; `usual_wait` is in seconds and used without `--wait`.
    fn body_waiting(&self, usual_wait: u64) -> Value {
        let mut body = self.args.operator.body();
        body["id"] = json!(self.id);
        body["dryRun"] = json!(self.args.dry_run);
        body["waitMs"] = json!(self.args.wait.unwrap_or(usual_wait) * 1000);
        let more = [("step", &self.on.step), ("direction", &self.on.direction), ("definition", &self.definition)];
        for (name, value) in more {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        body
    }

    /// If the request was sent and no answer arrived, the engine may have taken the act.
    fn unheard(&self, error: anyhow::Error) -> anyhow::Error {
        let lost =
            error.downcast_ref::<reqwest::Error>().is_some_and(|error| !error.is_connect() && !error.is_builder());
        if !lost {
            return error;
        }
        let command = self.again(&self.on);
        error.context(format!(
            "the engine may have taken the act\nhint: send it again; this command does nothing twice:\n  {command}"
        ))
    }

    /// The command that repeats the act.
    fn again(&self, on: &StepSelector) -> String {
        let mut selection = self.args.selection.clone();
        selection.step = on.step.clone().or(selection.step);
        let goes_by = if self.action == OperatorAction::Retry { "--from-definition" } else { "--definition" };
        let pace = self.args.pace.map(|pace| pace.to_string());
        let (which, engine) = self.args.server.again();
        let options = [
            ("--direction", on.direction.as_deref()),
            ("--definition", self.definition.as_deref()),
            (goes_by, self.goes_by.as_deref()),
            ("--pace", pace.as_deref()),
            ("--id", Some(self.id.as_str())),
            ("--who", self.args.operator.who.as_deref()),
            ("--reason", Some(self.args.operator.reason.as_str())),
            (which, Some(engine.as_str())),
        ];
        let names = self.args.names.iter().map(|name| format!(" {}", quoted(name))).collect::<String>();
        let chosen = selection.options().into_iter().map(|(name, value)| (name, Some(value)));
        let given = options.into_iter().map(|(name, value)| (name, value.map(str::to_owned)));
        let given = chosen.chain(given).filter_map(|(name, value)| match value?.as_str() {
            "" => Some(format!(" {name}")),
            value => Some(format!(" {name} {}", quoted(value))),
        });
        format!("saga {}{names}{}", self.action.as_str(), given.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct SkipCommandLine {
        #[command(flatten)]
        args: StepActArgs,
    }

    fn skip(line: &[&str]) -> SagaActRequest {
        acting([&["skip", "4711", "--reason", "it isn't there", "--who", "ada"], line].concat())
    }

    fn acting(line: Vec<&str>) -> SagaActRequest {
        let args = SkipCommandLine::parse_from(line).args;
        let on = StepSelector::of(&args.act, args.direction);
        SagaActRequest { goes_by: args.goes_by, ..SagaActRequest::new(args.act, OperatorAction::Skip, on) }
    }

    #[test]
    fn sagas_are_named_or_chosen_and_not_both() {
        let line = |rest: &[&'static str]| acting([&["skip", "--reason", "r", "--who", "ada"], rest].concat());
        assert!(matches!(line(&["a"]).whose(), Ok(ActScope::One("a"))));
        assert!(matches!(line(&["a", "b", "--saga", "order"]).whose(), Ok(ActScope::Several)));
        assert!(matches!(line(&["--step", "charge"]).whose(), Ok(ActScope::Chosen)));
        assert!(line(&["a", "--status", "parked"]).whose().is_err() && line(&[]).whose().is_err());
        assert!(line(&["--code", " "]).whose().is_err(), "a blank chooses nothing");
        for blank in ["--saga", "--step", "--code", "--definition"] {
            let parsed = SkipCommandLine::try_parse_from(["skip", "--reason", "r", "--who", "ada", "a", blank, ""]);
            assert!(parsed.is_err_and(|error| error.to_string().contains(blank)), "{blank} wants a value");
        }
    }

    #[test]
    fn a_job_is_ordered_by_what_chooses_and_repeated_by_the_same() {
        let rest = ["--status", "parked", "--code", "http.422", "--older-than", "2h", "--step", "charge"];
        let rest = [rest.as_slice(), &["--config", "/etc/saga.yaml"]].concat();
        let act = acting([&["skip", "--reason", "r", "--who", "ada", "--id", "7"], rest.as_slice()].concat());
        let order = act.order();
        assert_eq!(
            order["filter"],
            json!({"status": "parked", "step": "charge", "code": "http.422", "olderThan": "2h"})
        );
        assert_eq!((&order["step"], &order["action"], &order["id"]), (&json!("charge"), &json!("skip"), &json!("7")));
        let again = "saga skip --status parked --step charge --code http.422 --older-than 2h --id 7 --who ada --reason r --config /etc/saga.yaml";
        assert_eq!(act.again(&StepSelector::default()), again);
    }

    #[test]
    fn the_command_that_repeats_an_act_names_its_step_and_its_id() {
        let act = skip(&["--server", "http://localhost:9001"]);
        let answer = json!({"step": "charge", "direction": "do"});
        let expected = format!(
            "saga skip 4711 --step charge --direction do --id {} --who ada --reason 'it isn'\\''t there' --server http://localhost:9001",
            act.id
        );
        assert_eq!(act.again(&StepSelector::told(&answer)), expected);
    }

    #[test]
    fn every_key_reaches_the_engine_as_it_is() {
        let path = |key: &str| {
            let line = ["skip", key, "--reason", "r", "--who", "ada", "--saga", "a b"];
            SagaActRequest::new(
                SkipCommandLine::parse_from(line).args.act,
                OperatorAction::Skip,
                StepSelector::default(),
            )
            .path(key)
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
        assert_eq!(results::one(OperatorAction::Skip, &answer), "skip s: applied (the undo of step charge, act 7)");
        let repeat = json!({"status": "applied", "saga": "s", "id": "7", "appliedAt": "2026-11-29T08:00:00.000Z"});
        let told = results::one(OperatorAction::Retry, &repeat);
        assert_eq!(told, "retry s: applied before, at 2026-11-29T08:00:00.000Z; nothing was done again (act 7)");
    }
}
