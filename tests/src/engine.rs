//! The real binary as a child process: started, killed, ended in good order, asked over its API.

mod api;
mod installation;

pub use api::{EngineApi, http_client};
pub use installation::EngineInstallation;

use crate::eventually::eventually;
use anyhow::{Context, Result, ensure};
use std::{
    env,
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::OnceLock,
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// Path of the binary, where somebody else has built it.
pub const BINARY: &str = "SAGA_TEST_BINARY";
/// Which log lines the engine writes, as its flag `--log` takes it.
pub const LOG: &str = "SAGA_TEST_LOG";
/// Joining the groups, claiming the shards and folding what is open.
const READY: Duration = Duration::from_secs(60);
/// What is promised for an end in good order.
const END: Duration = Duration::from_secs(30);
/// Of the log, shown when a test fails.
const SHOWN_LINES: usize = 60;

/// One running engine. Killed when dropped; if the test failed, the end of its log is printed.
pub struct Engine {
    child: Child,
    api: EngineApi,
    log: PathBuf,
}

impl Engine {
    /// Starts `saga serve` on `installation` without waiting for anything.
    ///
    /// # Errors
    /// When the binary cannot be built or started.
    pub fn spawn(installation: &EngineInstallation) -> Result<Engine> {
        let port = free_port()?;
        let config = installation.write_config(port)?;
        let log = installation.folder().join(format!("engine-{port}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&log)?;
        let child = serve(&config, installation.env(), file)?;
        Ok(Engine { child, api: EngineApi::new(&format!("http://127.0.0.1:{port}"))?, log })
    }

    /// Starts `saga serve` on `installation` and returns when it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time; the message carries the end of its log.
    pub async fn start(installation: &EngineInstallation) -> Result<Engine> {
        let mut engine = Engine::spawn(installation)?;
        engine.ready().await?;
        Ok(engine)
    }

    /// Returns when it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time; the message carries the end of its log.
    pub async fn ready(&mut self) -> Result<()> {
        let (api, child, log) = (&self.api, &mut self.child, &self.log);
        eventually("the engine is ready", READY, || {
            let ended = child.try_wait();
            async move {
                if let Some(status) = ended? {
                    return Ok(Some(Err(anyhow::anyhow!("the engine ended ({status}):\n{}", tail(log)))));
                }
                Ok(api.is_ready().await?.then_some(Ok(())))
            }
        })
        .await
        .with_context(|| tail(log))?
    }

    /// Its API.
    #[must_use]
    pub fn api(&self) -> &EngineApi {
        &self.api
    }

    /// All that it logged.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// The end of what it logged, for the message of a failure.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// SIGKILL; returns when it is gone.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// SIGTERM; returns its exit status.
    ///
    /// # Errors
    /// When it has not ended within the 30 s that are promised.
    pub async fn terminate(mut self) -> Result<ExitStatus> {
        self.signal("TERM").await?;
        self.end().await
    }

    /// SIGSTOP: it stands still as it is, its connections stay open.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn pause(&self) -> Result<()> {
        self.signal("STOP").await
    }

    /// SIGCONT after a pause.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn unpause(&self) -> Result<()> {
        self.signal("CONT").await
    }

    async fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().context("the engine has ended already")?;
        let sent = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status().await?;
        ensure!(sent.success(), "SIG{name} cannot be sent to process {id}");
        Ok(())
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// When it has not ended within 30 s.
    pub async fn end(&mut self) -> Result<ExitStatus> {
        timeout(END, self.child.wait())
            .await
            .with_context(|| format!("no end within {END:?}:\n{}", tail(&self.log)))?
            .context("waiting for the engine")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of the engine's log\n{}", tail(&self.log));
        }
    }
}

/// The binary `saga`, built first unless `tests/run` has done so.
///
/// # Errors
/// When it does not build.
pub fn binary() -> Result<&'static Path> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = BUILT.get() {
        return Ok(path);
    }
    let path = match env::var_os(BINARY) {
        Some(path) => PathBuf::from(path),
        None => build()?,
    };
    ensure!(path.is_file(), "{} is not there", path.display());
    Ok(BUILT.get_or_init(|| path))
}

/// Beside the test's own executable, `target/debug/deps/test-…`, lies `target/debug/saga`.
fn build() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = std::process::Command::new(cargo).args(["build", "--workspace", "--bins"]).status()?;
    ensure!(built.success(), "the binary does not build");
    let test = env::current_exe()?;
    let folder = test.ancestors().nth(2).context("the test lies in target/debug/deps")?;
    Ok(folder.join("saga"))
}

fn serve(config: &Path, env: &[(String, String)], log: File) -> Result<Child> {
    let mut command = Command::new(binary()?);
    command.arg("serve").arg("--config").arg(config);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
    if let Some(filter) = env::var_os(LOG) {
        command.arg("--log").arg(filter);
    }
    // Only what the test wrote counts.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SAGA_")) {
        command.env_remove(name);
    }
    command.envs(env.iter().map(|(name, value)| (name, value)));
    command.spawn().with_context(|| format!("{}", config.display()))
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_else(|error| format!("no log: {error}"));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

/// A port that nobody listens at now.
///
/// # Errors
/// The system gives none.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
