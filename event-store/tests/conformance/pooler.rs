//! PgBouncer before a test's database.

use crate::postgres::{Database, report_not_run};
use anyhow::{Context, Result};
use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::Stdio,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The program; `pgbouncer` of the path unless this names another.
const PROGRAM: &str = "SAGA_TEST_PGBOUNCER";

/// A pooler of its own, which ends with the value.
pub(crate) struct Pooler {
    options: PgConnectOptions,
    _child: Child,
    _folder: TempDir,
}

impl Pooler {
    /// A pooler that shares sessions out as the settings say; `None` has been reported.
    pub(crate) async fn before(database: &Database, settings: &str) -> Result<Option<Pooler>> {
        let program = std::env::var(PROGRAM).unwrap_or_else(|_| "pgbouncer".to_owned());
        let folder = TempDir::new()?;
        let port = free_port()?;
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, configuration(&database.options(), port, settings))?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let mut command = Command::new(&program);
        if fs::metadata("/proc/self")?.uid() == 0 {
            // It refuses to run as root.
            command.args(["-u", "nobody"]);
        }
        let spawned = command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn();
        let Ok(child) = spawned else {
            report_not_run(&format!("{program} is not installed"));
            return Ok(None);
        };
        let options = database.options().host("127.0.0.1").port(port);
        crate::place::until("the pooler listens", async || {
            Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok())
        })
        .await?;
        // What sqlx sends unasked is one of the parameters that a pooler does not know.
        let connection = options.clone().extra_float_digits(None).connect().await.context("through the pooler")?;
        connection.close().await?;
        Ok(Some(Pooler { options, _child: child, _folder: folder }))
    }

    /// Where the store is reached through it.
    pub(crate) fn address(&self) -> String {
        self.options.to_url_lossy().to_string()
    }
}

fn configuration(server: &PgConnectOptions, port: u16, settings: &str) -> String {
    let password = server.to_url_lossy().password().unwrap_or_default().to_owned();
    format!(
        "[databases]\n* = host={} port={} user={} password={password}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = any\n{settings}\n",
        server.get_host(),
        server.get_port(),
        server.get_username(),
    )
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
