//! `saga keys`: keys with which programs and people log in to the API.

use super::{ConfigFileArgs, output};
use crate::{
    config::{self, ConfigSources},
    login::{KeyFileError, LoginRole, NewKey, RoleGrant, is_key_id},
};
use anyhow::bail;
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use saga_base::clock::EngineClock;
use saga_core::{definition::span, time::Timestamp};
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key, add its hash to the file of keys, and print the key: it is not shown again
    Create(KeyCreateArgs),
}

#[derive(Debug, Args)]
pub(super) struct KeyCreateArgs {
    /// Name of the key: 1 to 32 of a-z 0-9 and -; acts have `key:ID` as who
    #[arg(long, value_parser = key_id)]
    id: String,
    /// What the key allows
    #[arg(long, value_parser = PossibleValuesParser::new(LoginRole::ALL.map(LoginRole::as_str)))]
    role: String,
    /// Let the key see what sagas and dead letters carry
    #[arg(long)]
    payloads: bool,
    /// How long the key is valid, for example 90d [default: until it is removed from the file]
    #[arg(long, value_name = "TIME", value_parser = span_of)]
    expires: Option<std::time::Duration>,
    /// The file of keys [default: api.auth.keys of the configuration]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFileArgs,
}

fn key_id(text: &str) -> Result<String, String> {
    if is_key_id(text) { Ok(text.to_owned()) } else { Err("expected 1 to 32 of a-z 0-9 and -".to_owned()) }
}

fn span_of(text: &str) -> Result<std::time::Duration, String> {
    span(text).map_err(|_| "expected a time, like 90d".to_owned())
}

pub(super) fn run(command: KeysCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::Create(args) => create(&args),
    }
}

fn create(args: &KeyCreateArgs) -> anyhow::Result<ExitCode> {
    let file = file_of(args)?;
    let key = made(args, &file, EngineClock::Wall.now())?;
    output::line(&key)?;
    output::note(&format!("{} has its hash; the key is not shown again", file.display()));
    Ok(ExitCode::SUCCESS)
}

fn made(args: &KeyCreateArgs, file: &std::path::Path, now: Timestamp) -> Result<String, KeyFileError> {
    let role = LoginRole::named(&args.role).expect("the parser takes only names of roles");
    let grant = RoleGrant { role, payloads: args.payloads };
    let expires = args.expires.map(|life| now.plus(life));
    NewKey { id: args.id.clone(), grant, expires }.add_to(file)
}

fn file_of(args: &KeyCreateArgs) -> anyhow::Result<PathBuf> {
    if let Some(file) = &args.file {
        return Ok(file.clone());
    }
    let sources = ConfigSources::of_process(args.config.config.as_deref(), Vec::new());
    match config::key_file(&sources)? {
        Some(file) => Ok(file),
        None => bail!("no file of keys is named\nhint: --file FILE, or `api.auth.keys` of the configuration"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    enum KeysCommandLine {
        #[command(subcommand)]
        Keys(KeysCommand),
    }

    #[test]
    fn a_key_has_an_id_and_a_role() {
        let parsed = |line: &str| KeysCommandLine::try_parse_from(line.split(' '));
        assert!(parsed("saga keys create --id ci --role operator --expires 90d").is_ok());
        for (wrong, said) in [
            ("saga keys create --id CI --role operator", "a-z 0-9"),
            ("saga keys create --id ci --role root", "viewer"),
            ("saga keys create --id ci --role admin --expires soon", "90d"),
        ] {
            let told = parsed(wrong).expect_err(wrong).to_string();
            assert!(told.contains(said), "{told}");
        }
    }
}
