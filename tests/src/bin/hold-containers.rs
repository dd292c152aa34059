//! Starts the servers named as arguments as containers, prints their addresses as `NAME=value` lines and an empty line,
//! and removes the containers when its standard input ends: they cannot outlive the run that asked for them.

use anyhow::{Result, bail};
use saga_tests::containers::{self, RunningContainer};
use std::io::{Read as _, Write as _};

#[tokio::main]
async fn main() -> Result<()> {
    let mut held = Vec::new();
    for server in std::env::args().skip(1) {
        held.push(start(&server).await?);
    }
    say("")?;
    let mut ignored = Vec::new();
    // Blocks on purpose: until the end of the input there is nothing to do.
    std::io::stdin().read_to_end(&mut ignored)?;
    for running in held {
        running.container.rm().await?;
    }
    Ok(())
}

async fn start(server: &str) -> Result<RunningContainer> {
    let (running, address) = match server {
        "kafka" => (containers::kafka().await?, saga_tests::servers::KAFKA),
        "postgres" => (containers::postgres().await?, saga_tests::servers::POSTGRES_URL),
        other => bail!("unknown server '{other}': kafka or postgres"),
    };
    say(&format!("{address}={}", running.address))?;
    say(&format!("SAGA_TEST_{}_CONTAINER={}", server.to_uppercase(), running.container.id()))?;
    Ok(running)
}

/// The lines are this program's output, read by the script that started it.
fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
