//! A Postgres of a test's own that speaks TLS.

use crate::{certificates::MadeAuthority, engine::free_port, repository_root, servers};
use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// The role that logs in by a client certificate of this name, and by nothing else.
pub const CERTIFIED_ROLE: &str = "certified";

/// The server. Dropped, it ends.
#[derive(Debug)]
pub struct SecurePostgres {
    folder: TempDir,
    port: u16,
}

impl SecurePostgres {
    /// Starts a server that shows a certificate of `authority` for `localhost`, and takes client certificates of it.
    /// `None`: there are no programs of a server with TLS on this machine, which has been reported.
    ///
    /// # Errors
    /// When the server does not start.
    pub async fn start(authority: &MadeAuthority) -> Result<Option<SecurePostgres>> {
        let Some(programs) = programs().await? else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        // Postgres runs under a user of its own, who has to get through.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let server = SecurePostgres { folder, port: free_port()? };
        let (port, log) = (server.port.to_string(), server.folder.path().join("log"));
        let programs = programs.to_string_lossy();
        server.script(&["create", &programs, &port, &log.to_string_lossy()])?;
        server.secure(authority)?;
        server.script(&["start"])?;
        let mut admin = PgConnection::connect(&server.url("127.0.0.1", "")).await?;
        let role = format!("CREATE ROLE {CERTIFIED_ROLE} LOGIN SUPERUSER");
        sqlx::query(AssertSqlSafe(role)).execute(&mut admin).await?;
        Ok(Some(server))
    }

    /// The address of its database by this host, with more parameters.
    #[must_use]
    pub fn url(&self, host: &str, parameters: &str) -> String {
        format!("postgres://postgres:saga@{host}:{}/postgres{parameters}", self.port)
    }

    /// The same for the role that has a certificate and no password.
    #[must_use]
    pub fn url_of_certified(&self, parameters: &str) -> String {
        format!("postgres://{CERTIFIED_ROLE}@localhost:{}/postgres{parameters}", self.port)
    }

    /// A file of a test, beside the server's.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, content)?;
        Ok(path)
    }

    fn secure(&self, authority: &MadeAuthority) -> Result<()> {
        let data = self.folder.path().join("data");
        let shown = authority.signs("localhost")?;
        let files = [("server.crt", &shown.certificate), ("server.key", &shown.key), ("ca.crt", &authority.pem())];
        let owner = fs::metadata(&data)?;
        for (name, content) in files {
            let path = data.join(name);
            fs::write(&path, content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            chown(&path, Some(owner.uid()), Some(owner.gid()))?;
        }
        append(&data.join("postgresql.conf"), "ssl = on\nssl_ca_file = 'ca.crt'\n")?;
        let rules = format!(
            "hostssl all {CERTIFIED_ROLE} 127.0.0.1/32 cert\nhost all {CERTIFIED_ROLE} all reject\n\
             host all all 127.0.0.1/32 scram-sha-256\n"
        );
        Ok(fs::write(data.join("pg_hba.conf"), rules)?)
    }

    fn script(&self, arguments: &[&str]) -> Result<()> {
        let script = repository_root().join("tests/servers/postgres");
        let ended = Command::new(script).arg(self.folder.path()).args(arguments).status()?;
        ensure!(ended.success(), "tests/servers/postgres {arguments:?}: {ended}");
        Ok(())
    }
}

impl Drop for SecurePostgres {
    fn drop(&mut self) {
        // A server that did not start has nothing to stop.
        drop(self.script(&["kill"]));
    }
}

fn append(path: &Path, text: &str) -> Result<()> {
    Ok(fs::write(path, fs::read_to_string(path)? + text)?)
}

/// The folder of the programs of the running server, if they are on this machine and have TLS.
async fn programs() -> Result<Option<PathBuf>> {
    let Some(server) = servers::postgres() else { return Ok(None) };
    let database = server.database().await?;
    let mut asked = PgConnection::connect(database.url()).await?;
    let question = "SELECT (SELECT setting FROM pg_config WHERE name = 'BINDIR'), current_setting('ssl_library')";
    let (folder, library): (String, String) = sqlx::query_as(question).fetch_one(&mut asked).await?;
    let folder = PathBuf::from(folder);
    if library.is_empty() || !folder.join("initdb").exists() {
        servers::tell_not_run("the programs of a Postgres with TLS are not on this machine");
        return Ok(None);
    }
    Ok(Some(folder))
}
