//! `migrate`: open sagas go on by another text of their definition. A job on an engine looks at each, and moves those
//! that it fits.

use super::{
    OutputFormat,
    act::{job, results},
    operator::OperatorArgs,
    output,
    selection::SelectionArgs,
    server::{ApiClient, ServerArgs},
};
use crate::shell::quoted;
use anyhow::{Context, bail};
use clap::{Args, builder::NonEmptyStringValueParser};
use saga_core::event::OperatorAction;
use saga_engine::journal::reading::SagaQuery;
use serde_json::{Value, json};
use std::{collections::BTreeMap, num::NonZeroU32, path::Path, process::ExitCode};
use uuid::Uuid;

/// Sagas per second that are only looked at: the engine reads journals, and writes nothing.
const PACE_OF_A_LOOK: u32 = 500;
/// Sagas per second that are moved: each is a commit, and no call of a participant in most cases.
const PACE_OF_A_MOVE: u32 = 100;

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// What the sagas shall go on with: a file, the beginning of a hash, or `current`, which is what starts new sagas
    #[arg(long, value_name = "FILE|HASH|current", value_parser = NonEmptyStringValueParser::new())]
    to: String,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten, next_help_heading = "Choose sagas")]
    selection: SelectionArgs,
    /// Only sagas of the definition whose hash begins like this
    #[arg(long, value_name = "HASH", help_heading = "Choose sagas", value_parser = NonEmptyStringValueParser::new())]
    from: Option<String>,
    /// Only the sagas with these ids or business keys
    #[arg(long, value_name = "ID|KEY", help_heading = "Choose sagas", value_parser = NonEmptyStringValueParser::new())]
    key: Vec<String>,
    /// At most so many sagas, the newest first
    #[arg(long, value_name = "N", help_heading = "Choose sagas")]
    limit: Option<NonZeroU32>,
    /// Move the sagas; without it the command only shows which would be moved
    #[arg(long)]
    apply: bool,
    /// Id of the job. A repeat with the same id changes nothing twice [default: a random id, which is printed]
    #[arg(long, value_name = "ID")]
    id: Option<Uuid>,
    /// Sagas per second, 1 to 500 [default: 100; without --apply 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pace: Option<u32>,
    /// Format of the results
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn migrate(args: MigrateArgs) -> anyhow::Result<ExitCode> {
    let server = args.server.open()?;
    let id = args.id.unwrap_or_else(Uuid::new_v4);
    let target = args.target(&server, id).await?;
    args.refuse_everything(&target)?;
    let begun = server.post("/api/jobs", &args.order(&target, id)).await?;
    let job = begun["job"]["id"].as_str().context("the engine answered without the id of a job")?;
    if args.apply {
        let again = args.again(&target, id);
        output::note(&format!(
            "job {job}; Ctrl-C stops it. This command goes on later, and does nothing twice:\n  {again}"
        ));
    }
    let mut misfits = BTreeMap::new();
    let ended = job::followed(&server, &format!("/api/jobs/{job}"), |item| {
        if let ("refused", Some(why)) = (item["result"].as_str().unwrap_or_default(), item["message"].as_str()) {
            *misfits.entry(why.to_owned()).or_insert(0_u64) += 1;
        }
        output::next(item, args.output, |item| results::item(OperatorAction::Migrate, item))
    })
    .await
    .with_context(|| format!("job {job} cannot be followed; sagas that were moved stay moved"))?;
    misfits.iter().for_each(|(why, count)| output::note(&format!("{count} sagas: {why}")));
    output::note(&results::summary(OperatorAction::Migrate, &ended));
    if !args.apply {
        output::note("hint: nothing was moved; --apply moves the sagas that it fits");
    }
    Ok(if results::is_full_success(&ended) { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What the sagas shall go on with, as an engine knows it.
struct MigrationTarget {
    /// `current`, or a hash or the beginning of one.
    definition: String,
    /// Name of the definition, if a file gave it.
    saga: Option<String>,
}

impl MigrateArgs {
    /// A file's text is stored first, also by a dry run: nothing refers to it until a saga is moved to it.
    async fn target(&self, server: &ApiClient, id: Uuid) -> anyhow::Result<MigrationTarget> {
        let is_file = Path::new(&self.to).is_file();
        if !is_file && (self.to.contains(['/', '\\']) || self.to.ends_with(".yaml") || self.to.ends_with(".yml")) {
            bail!("there is no file {}\nhint: write a file, the beginning of a hash, or current", self.to);
        }
        if !is_file {
            return Ok(MigrationTarget { definition: self.to.clone(), saga: None });
        }
        let text = std::fs::read_to_string(&self.to).with_context(|| format!("{} cannot be read", self.to))?;
        let mut body = self.operator.body();
        (body["id"], body["text"]) = (json!(id), json!(text));
        let stored = server.post("/api/definitions", &body).await.with_context(|| self.to.clone())?;
        let word = |key: &str| stored[key].as_str().map(str::to_owned);
        let definition = word("definition").context("the engine answered without the hash of the definition")?;
        Ok(MigrationTarget { definition, saga: word("name") })
    }

    /// Without sagas that are chosen the engine refuses the job, in the words of its API.
    fn refuse_everything(&self, target: &MigrationTarget) -> anyhow::Result<()> {
        let of_target = SagaQuery { saga: target.saga.clone(), definition: self.from.clone(), ..SagaQuery::default() };
        if self.key.is_empty() && !self.selection.wanted().chooses() && !of_target.chooses() {
            bail!("no sagas are chosen\nhint: --saga NAME chooses all open sagas of a definition, --key KEY one saga");
        }
        Ok(())
    }

    fn order(&self, target: &MigrationTarget, id: Uuid) -> Value {
        let usual = if self.apply { PACE_OF_A_MOVE } else { PACE_OF_A_LOOK };
        let saga = self.selection.saga.clone().or_else(|| target.saga.clone());
        let mut order = self.operator.body();
        order["id"] = json!(id);
        order["action"] = json!(OperatorAction::Migrate.as_str());
        order["definition"] = json!(target.definition);
        order["dryRun"] = json!(!self.apply);
        order["waitMs"] = json!(0);
        order["pace"] = json!(self.pace.unwrap_or(usual));
        order["limit"] = json!(self.limit);
        if self.key.is_empty() {
            let selection = SelectionArgs { saga, ..self.selection.clone() };
            order["filter"] = selection.filter(self.from.as_deref());
        } else {
            order["sagas"] = json!(self.key);
            order["saga"] = json!(saga);
        }
        order
    }

    /// The command that repeats the migration.
    fn again(&self, target: &MigrationTarget, id: Uuid) -> String {
        let (which, engine) = self.server.again();
        let saga = target.saga.clone().filter(|_| self.selection.saga.is_none());
        let own = [
            ("--saga", saga),
            ("--from", self.from.clone()),
            ("--limit", self.limit.map(|limit| limit.to_string())),
            ("--pace", self.pace.map(|pace| pace.to_string())),
            ("--id", Some(id.to_string())),
            ("--who", self.operator.who.clone()),
            ("--reason", Some(self.operator.reason.clone())),
            (which, Some(engine)),
        ];
        let chosen = self.selection.options().into_iter().map(|(name, value)| (name, Some(value)));
        let keys = self.key.iter().map(|key| ("--key", Some(key.clone())));
        let options = chosen.chain(keys).chain(own).filter_map(|(name, value)| match value?.as_str() {
            "" => Some(format!(" {name}")),
            value => Some(format!(" {name} {}", quoted(value))),
        });
        format!("saga migrate --to {} --apply{}", target.definition, options.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct MigrateCommandLine {
        #[command(flatten)]
        args: MigrateArgs,
    }

    fn args(line: &[&str]) -> MigrateArgs {
        let line = [&["migrate", "--reason", "v 2", "--who", "ada"], line].concat();
        MigrateCommandLine::parse_from(line).args
    }

    #[test]
    fn without_apply_it_is_a_dry_run_over_what_the_options_choose() {
        let line = ["--to", "current", "--saga", "order", "--from", "53ac66", "--status", "running", "--limit", "5"];
        let target = MigrationTarget { definition: "current".into(), saga: None };
        let order = args(&line).order(&target, Uuid::nil());
        assert_eq!((&order["dryRun"], &order["pace"], &order["limit"]), (&json!(true), &json!(500), &json!(5)));
        assert_eq!(order["filter"], json!({"saga": "order", "status": "running", "definition": "53ac66"}));
        assert_eq!((&order["action"], &order["definition"]), (&json!("migrate"), &json!("current")));
    }

    #[test]
    fn the_command_that_repeats_it_names_the_stored_text() {
        let line = ["--to", "new.saga.yaml", "--key", "4711", "--apply", "--server", "http://localhost:9001"];
        let target = MigrationTarget { definition: "ab12".into(), saga: Some("order".into()) };
        let (args, nil) = (args(&line), Uuid::nil());
        assert_eq!(
            args.again(&target, nil),
            format!(
                "saga migrate --to ab12 --apply --key 4711 --saga order --id {nil} --who ada --reason 'v 2' --server http://localhost:9001"
            )
        );
        let order = args.order(&target, nil);
        assert_eq!(
            (&order["sagas"], &order["saga"], &order["dryRun"]),
            (&json!(["4711"]), &json!("order"), &json!(false))
        );
    }
}
