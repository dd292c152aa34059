//! `pause` and `resume`, of a definition or of a participant, through the API of an engine.

use super::{
    operator::{self, OperatorArgs},
    output,
    server::{ServerArgs, encoded},
};
use clap::{Args, Subcommand};
use saga_core::definition;
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

/// What can be paused.
#[derive(Debug, Subcommand)]
pub(super) enum PauseCommand {
    /// Start no sagas of a definition: records wait in Kafka, starts over the API are refused, running sagas go on
    Definition(PauseArgs),
    /// Send a participant no calls: commands wait, and no attempt counts. The same as `saga guard open`
    Participant(ParticipantPauseArgs),
}

/// What can be resumed.
#[derive(Debug, Subcommand)]
pub(super) enum ResumeCommand {
    /// Start sagas of a definition again, beginning with the records that wait
    Definition(PauseArgs),
    /// Send a participant calls again, without any override. The same as `saga guard reset`
    Participant(PauseArgs),
}

#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// Name of the definition or of the participant
    name: String,
    #[command(flatten)]
    operator: OperatorArgs,
    /// Id of the act. A repeat with the same id changes nothing [default: a random id, which is printed]
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct ParticipantPauseArgs {
    #[command(flatten)]
    act: PauseArgs,
    /// End the pause by itself after this time: 15m, 2h
    #[arg(long = "for", value_name = "DURATION", value_parser = lasts)]
    lasts: Option<String>,
}

fn lasts(text: &str) -> Result<String, String> {
    definition::span(text).map(|_| text.to_owned())
}

pub(super) async fn pause(command: PauseCommand) -> anyhow::Result<ExitCode> {
    match command {
        PauseCommand::Definition(args) => act("pause", "definitions/NAME/pause", &args, Value::Null).await,
        PauseCommand::Participant(args) => act("pause", "guards/NAME/open", &args.act, json!(args.lasts)).await,
    }
}

pub(super) async fn resume(command: ResumeCommand) -> anyhow::Result<ExitCode> {
    match command {
        ResumeCommand::Definition(args) => act("resume", "definitions/NAME/resume", &args, Value::Null).await,
        ResumeCommand::Participant(args) => act("resume", "guards/NAME/reset", &args, Value::Null).await,
    }
}

async fn act(action: &str, route: &str, args: &PauseArgs, lasts: Value) -> anyhow::Result<ExitCode> {
    let id = args.id.unwrap_or_else(Uuid::new_v4);
    let path = format!("/api/{}", route.replace("NAME", &encoded(&args.name)));
    let answer = args.server.open()?.post(&path, &body(args, id, lasts)).await?;
    let status = answer["status"].as_str().unwrap_or_default();
    output::line(&operator::line(action, &args.name, &format!("{status} (act {id})")))?;
    if operator::is_only_accepted(&answer) {
        output::note(&format!("hint: the same command with --id {id} asks for the result, and does nothing twice"));
    }
    Ok(ExitCode::SUCCESS)
}

fn body(args: &PauseArgs, id: Uuid, lasts: Value) -> Value {
    let mut body = args.operator.body();
    body["id"] = json!(id);
    if !lasts.is_null() {
        body["lasts"] = lasts;
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct PauseCommandLine {
        #[command(subcommand)]
        command: PauseCommand,
    }

    #[test]
    fn a_pause_of_a_participant_may_end_by_itself() {
        let line = ["pause", "participant", "payments", "--reason", "they migrate", "--who", "ada", "--for", "15m"];
        let PauseCommand::Participant(args) = PauseCommandLine::parse_from(line).command else {
            panic!("a participant")
        };
        let id = Uuid::from_u128(7);
        let expected = json!({"who": "ada", "reason": "they migrate", "id": id, "lasts": "15m"});
        assert_eq!(body(&args.act, id, json!(args.lasts)), expected);
        let wrong = ["pause", "participant", "payments", "--reason", "r", "--for", "soon"];
        assert!(PauseCommandLine::try_parse_from(wrong).is_err());
        let of_definition = ["pause", "definition", "order", "--reason", "r", "--for", "15m"];
        assert!(PauseCommandLine::try_parse_from(of_definition).is_err(), "only an operator ends it");
    }
}
