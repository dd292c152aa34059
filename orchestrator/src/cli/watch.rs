//! `watch`: one saga as it goes.

use super::{
    following::{self, EXIT_CODES, FollowUntil, FollowedSaga},
    server::ServerOutputArgs,
};
use clap::Args;
use std::process::ExitCode;

/// Arguments of `saga watch`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct WatchArgs {
    /// Id or business key of the saga
    #[arg(value_name = "ID|KEY")]
    name: String,
    /// Name of the definition, if sagas of several definitions have the key
    #[arg(long, value_name = "NAME")]
    saga: Option<String>,
    #[command(flatten)]
    engine: ServerOutputArgs,
}

pub(super) async fn watch(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let client = args.engine.server.open()?;
    let mut followed = FollowedSaga::new(&client, &args.name, args.saga.as_deref());
    let each = |event: &_| following::print(event, args.engine.output);
    Ok(following::exit_code(followed.follow(FollowUntil::Ended, None, each).await?))
}
