//! `start`: begins a saga over the API, without a record of its topic.

use super::{
    OutputFormat,
    following::{self, EXIT_CODES, FollowUntil, FollowedSaga},
    operator::{is_only_accepted, line},
    output,
    server::ServerArgs,
};
use crate::shell::quoted;
use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use tokio::time::Instant;
use uuid::Uuid;

/// More than an engine takes: its error says how much that is.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Arguments of `saga start`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct StartArgs {
    /// Name of the definition
    #[arg(value_name = "DEFINITION")]
    definition: String,
    /// File with the event in JSON; `-` reads it from stdin
    #[arg(long, value_name = "FILE", required_unless_present = "key")]
    event: Option<PathBuf>,
    /// The business key that the saga is to have. The engine refuses the start if the definition makes another key of
    /// the event
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A header, as a record has them; can be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Why you start it; recorded with the saga
    #[arg(long)]
    reason: Option<String>,
    /// Your name; recorded with the saga. By default that of the login (--token), without one your login name here
    #[arg(long)]
    who: Option<String>,
    /// Id of the request [default: a random id]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Print what happens to the saga until it has ended or is parked, for at most so many seconds: 1 to 86400, 60 if
    /// no number is given
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: Option<u64>,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    server: ServerArgs,
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("expected NAME=VALUE".to_owned()),
    }
}

pub(super) async fn start(args: StartArgs) -> anyhow::Result<ExitCode> {
    let id = args.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    let event = args.event.as_ref().map(read).transpose()?;
    let client = args.server.open()?;
    let until = args.wait.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let answer = match client.post_once("/api/sagas", &id, &body(&args, event)).await {
        Ok(answer) => answer,
        Err(error) => return Err(unheard(&args, &id, error)),
    };
    output::one(&answer, args.output, text)?;
    if is_only_accepted(&answer) {
        output::note(&format!(
            "hint: the same event again starts nothing twice, and says which saga it is:\n  {}",
            again(&args, &id)
        ));
    }
    let Some(until) = until else { return Ok(ExitCode::SUCCESS) };
    let Some(saga) = answer["saga"].as_str() else { return Ok(ExitCode::from(6)) };
    let mut followed = FollowedSaga::new(&client, saga, None);
    let each = |event: &_| following::print(event, args.output);
    Ok(following::exit_code(followed.follow(FollowUntil::EndedOrParked, Some(until), each).await?))
}

fn read(path: &PathBuf) -> anyhow::Result<Value> {
    let is_stdin = path.as_os_str() == "-";
    let shown = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
    let mut text = Vec::new();
    let taken = if is_stdin {
        io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut text))
    };
    let bytes = taken.with_context(|| format!("cannot read {shown}"))?;
    if u64::try_from(bytes).unwrap_or(u64::MAX) > MOST_BYTES {
        bail!("{shown} is larger than {MOST_BYTES} bytes\nhint: an event has at most 1 MiB");
    }
    saga_core::json::read(&text).map_err(|unfit| anyhow::anyhow!("the event in {shown} cannot be read: {unfit}"))
}

fn body(args: &StartArgs, event: Option<Value>) -> Value {
    let mut body = json!({"definition": args.definition, "who": args.who});
    let headers: Map<String, Value> = args.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let given = [
        ("event", event),
        ("key", args.key.as_ref().map(|key| json!(key))),
        ("reason", args.reason.as_ref().map(|reason| json!(reason))),
        ("headers", (!headers.is_empty()).then_some(Value::Object(headers))),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    body
}

/// If the request was sent and no answer arrived, the saga may have begun.
fn unheard(args: &StartArgs, id: &str, error: anyhow::Error) -> anyhow::Error {
    let is_lost =
        error.downcast_ref::<reqwest::Error>().is_some_and(|error| !error.is_connect() && !error.is_builder());
    if !is_lost {
        return error;
    }
    let command = again(args, id);
    error.context(format!("the saga may have begun\nhint: the same event again starts nothing twice:\n  {command}"))
}

fn again(args: &StartArgs, id: &str) -> String {
    let (which, engine) = args.server.again();
    let event = args.event.as_ref().map(|path| path.display().to_string());
    let options = [
        ("--event", event.as_deref()),
        ("--key", args.key.as_deref()),
        ("--id", Some(id)),
        ("--who", args.who.as_deref()),
        ("--reason", args.reason.as_deref()),
        (which, Some(engine.as_str())),
    ];
    let given = options.into_iter().filter_map(|(name, value)| Some(format!(" {name} {}", quoted(value?))));
    let headers = args.headers.iter().map(|(name, value)| format!(" --header {}", quoted(&format!("{name}={value}"))));
    format!("saga start {}{}", quoted(&args.definition), given.chain(headers).collect::<String>())
}

/// `start order: started; 01a2… for key 4711, now completed (request …)`
fn text(answer: &Value) -> String {
    let said = |key: &str| answer[key].as_str().unwrap_or_default();
    let saga = answer["saga"].as_str().map(|saga| format!("; {saga}")).unwrap_or_default();
    let now = answer["now"]["status"].as_str().map(|status| format!(", now {status}")).unwrap_or_default();
    let outcome = format!("{}{saga} for key {}{now} (request {})", said("status"), said("key"), said("id"));
    line("start", said("definition"), &outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct StartCommandLine {
        #[command(flatten)]
        args: StartArgs,
    }

    fn args(line: &[&str]) -> StartArgs {
        StartCommandLine::parse_from([&["start", "order"], line].concat()).args
    }

    #[test]
    fn the_request_names_what_the_command_names() {
        let args = args(&["--event", "order.json", "--key", "4711", "--header", "tenant=a=b", "--who", "ada"]);
        let expected = json!({
            "definition": "order", "who": "ada", "event": {"a": 1}, "key": "4711", "headers": {"tenant": "a=b"},
        });
        assert_eq!(body(&args, Some(json!({"a": 1}))), expected);
        assert!(StartCommandLine::try_parse_from(["start", "order"]).is_err(), "neither an event nor a key");
        assert!(StartCommandLine::try_parse_from(["start", "order", "--key", "a", "--header", "=b"]).is_err());
    }

    #[test]
    fn a_wait_is_bounded_also_without_a_number() {
        assert_eq!(args(&["--key", "a", "--wait"]).wait, Some(60));
        assert_eq!(args(&["--key", "a", "--wait", "5"]).wait, Some(5));
        assert_eq!(args(&["--key", "a"]).wait, None);
        assert!(StartCommandLine::try_parse_from(["start", "order", "--key", "a", "--wait", "0"]).is_err());
    }

    #[test]
    fn the_command_that_repeats_the_start_has_its_id() {
        let args = args(&["--event", "my order.json", "--server", "http://localhost:9001", "--header", "a=b c"]);
        let expected =
            "saga start order --event 'my order.json' --id 7 --server http://localhost:9001 --header 'a=b c'";
        assert_eq!(again(&args, "7"), expected);
    }

    #[test]
    fn a_result_is_one_line() {
        let answer = json!({
            "status": "started", "id": "7", "definition": "order", "key": "4711", "saga": "s", "now": {"status": "running"},
        });
        assert_eq!(text(&answer), "start order: started; s for key 4711, now running (request 7)");
    }
}
