//! `saga dev` as a newcomer types it: in any folder, with nothing installed.

use anyhow::Result;
use saga_tests::engine::binary;
use serde_json::Value;
use std::{path::Path, process::Output};
use tokio::{net::TcpListener, process::Command};

async fn saga(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(folder).args(arguments).env_remove("SAGA_CONFIG").kill_on_drop(true);
    Ok(command.output().await?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn orders_run_to_their_ends_and_can_be_read_afterwards() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for _ in 0..2 {
        let run = saga(folder.path(), &["dev", "--port", "0", "--orders", "2", "--exit"]).await?;
        assert!(run.status.success(), "{}{}", text(&run.stdout), text(&run.stderr));
        let shown = text(&run.stdout);
        for line in ["  completed         1", "  compensated       1", "  parked            0", "2 sagas in"] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        assert!(!shown.contains('\u{1b}'), "colour is for terminals");
        assert_eq!(text(&run.stderr), "");
    }
    let list = saga(folder.path(), &["list", "--config", ".saga-dev/config.yaml", "--output", "json"]).await?;
    let lines: Vec<Value> = text(&list.stdout).lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines.iter().all(|line| line["saga"] == "order-fulfillment"), "{lines:?}");
    Ok(())
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_the_flag() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let port = taken.local_addr()?.port().to_string();
    let run = saga(folder.path(), &["dev", "--port", &port]).await?;
    assert_eq!(run.status.code(), Some(1));
    let said = text(&run.stderr);
    assert!(said.contains(&port) && said.contains("--port"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0, "nothing is left behind");
    Ok(())
}

#[tokio::test]
async fn an_end_that_nobody_could_reach_is_a_usage_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let run = saga(folder.path(), &["dev", "--exit"]).await?;
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("--orders"), "{}", text(&run.stderr));
    Ok(())
}
