//! A broker of a test's own, which wants to know who its clients are.

use crate::{
    certificates::MadeAuthority,
    engine::free_port,
    kafka::TestKafka,
    repository_root,
    servers::{KAFKA_JARS, tell_not_run},
};
use anyhow::{Result, ensure};
use std::{fs, path::Path, path::PathBuf, process::Command};
use tempfile::TempDir;

/// User and password of every mechanism that has them.
pub const USER: &str = "saga";
/// See [`USER`].
pub const PASSWORD: &str = "the-password-of-the-engine";

/// The broker. Dropped, it ends.
#[derive(Debug)]
pub struct SecureKafka {
    folder: TempDir,
    plain: u16,
    ports: ListenerPorts,
}

/// Ports of the listeners that clients of the engine use.
#[derive(Clone, Copy, Debug)]
pub struct ListenerPorts {
    /// SASL without TLS.
    pub sasl_plaintext: u16,
    /// SASL over TLS; the name of the server is `localhost`.
    pub sasl_ssl: u16,
    /// TLS with a client certificate.
    pub ssl: u16,
}

impl SecureKafka {
    /// Starts a broker that shows a certificate of `authority` for `localhost` and takes client certificates of it.
    /// `None`: there is no Kafka on this machine, which has been reported.
    ///
    /// # Errors
    /// When the broker does not start.
    pub fn start(authority: &MadeAuthority) -> Result<Option<SecureKafka>> {
        let Ok(jars) = std::env::var(KAFKA_JARS) else {
            tell_not_run(&format!("{KAFKA_JARS} is not set"));
            return Ok(None);
        };
        let ports = ListenerPorts { sasl_plaintext: free_port()?, sasl_ssl: free_port()?, ssl: free_port()? };
        let broker = SecureKafka { folder: tempfile::tempdir()?, plain: free_port()?, ports };
        let shown = authority.signs("localhost")?;
        // Kafka wants key and chain in one file.
        let keys = broker.file("server.pem", &format!("{}{}", shown.key, shown.certificate))?;
        let trusted = broker.file("ca.pem", &authority.pem())?;
        let controller = free_port()?;
        let more = broker.file("more.properties", &broker.properties(controller, &keys, &trusted))?;
        let scram = ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(|kind| format!("{kind}=[name={USER},password={PASSWORD}]"));
        let log = broker.folder.path().join("log");
        let (plain, controller) = (broker.plain.to_string(), controller.to_string());
        let (log, more) = (log.to_string_lossy(), more.to_string_lossy());
        broker.script(&["create", &jars, &plain, &controller, &log, &more, &scram[0], &scram[1]])?;
        broker.script(&["start"])?;
        Ok(Some(broker))
    }

    /// The listener that asks nobody who he is, for participants and for the test itself.
    #[must_use]
    pub fn open(&self) -> TestKafka {
        TestKafka::new(format!("127.0.0.1:{}", self.plain), None)
    }

    /// The other listeners.
    #[must_use]
    pub fn ports(&self) -> ListenerPorts {
        self.ports
    }

    /// A file of a test, beside the broker's.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, content)?;
        Ok(path)
    }

    fn properties(&self, controller: u16, keys: &Path, trusted: &Path) -> String {
        let SecureKafka { plain, ports: ListenerPorts { sasl_plaintext, sasl_ssl, ssl }, .. } = self;
        let module = "org.apache.kafka.common.security";
        let login = format!("{module}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";");
        let bearer =
            format!("{module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"x\";");
        let listeners = format!(
            "PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl_plaintext},\
             SASL_SSL://localhost:{sasl_ssl},SSL://localhost:{ssl}"
        );
        let names = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL";
        [
            format!("listeners={},CONTROLLER://127.0.0.1:{controller}", listeners.replace("localhost", "127.0.0.1")),
            format!("advertised.listeners={listeners}"),
            format!("listener.security.protocol.map={names}"),
            "inter.broker.listener.name=PLAINTEXT".to_owned(),
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER".to_owned(),
            format!("listener.name.sasl_plaintext.plain.sasl.jaas.config={login}"),
            format!("listener.name.sasl_ssl.plain.sasl.jaas.config={login}"),
            format!("listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;"),
            format!("listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;"),
            format!("listener.name.sasl_ssl.oauthbearer.sasl.jaas.config={bearer}"),
            "listener.name.sasl_plaintext.sasl.enabled.mechanisms=PLAIN".to_owned(),
            "listener.name.ssl.ssl.client.auth=required".to_owned(),
            "ssl.keystore.type=PEM".to_owned(),
            format!("ssl.keystore.location={}", keys.display()),
            "ssl.truststore.type=PEM".to_owned(),
            format!("ssl.truststore.location={}", trusted.display()),
        ]
        .join("\n")
    }

    fn script(&self, arguments: &[&str]) -> Result<()> {
        let script = repository_root().join("tests/servers/kafka");
        let ended = Command::new(script).arg(self.folder.path()).args(arguments).status()?;
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        ensure!(ended.success(), "tests/servers/kafka {arguments:?}: {ended}\n{}", log());
        Ok(())
    }
}

impl Drop for SecureKafka {
    fn drop(&mut self) {
        // A broker that did not start has nothing to stop.
        drop(self.script(&["kill"]));
    }
}
