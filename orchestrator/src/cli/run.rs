//! `serve` and `dev`.

use super::ConfigFileArgs;
use crate::{
    config::{self, ConfigSources},
    dev::{self, TerminalWriter},
    shutdown,
    startup::{self, DefinitionFiles, StartupOptions},
};
use clap::Args;
use saga_engine::observer::ObserverHandle;
use saga_kafka::BrokerKind;
use std::{convert::Infallible, net::SocketAddr, path::PathBuf, process::ExitCode};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    file: ConfigFileArgs,
    /// Address of the event store
    #[arg(long, value_name = "ADDRESS")]
    store: Option<String>,
    /// Folder of definitions and participants.yaml
    #[arg(long, value_name = "DIR")]
    sagas: Option<String>,
    /// Address of the Kafka broker
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap_servers: Option<String>,
    /// Address that the API listens on
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Let everybody who reaches the API act, without a login
    #[arg(long)]
    insecure: bool,
    /// Belongs to `saga dev`; here only for its error message
    #[arg(long = "port", value_name = "PORT", hide = true, value_parser = no_port)]
    _port: Option<Infallible>,
}

#[derive(Debug, Args)]
pub(super) struct DevArgs {
    /// Folder for the files of the run
    #[arg(long, default_value = "./.saga-dev", value_name = "DIR")]
    data: PathBuf,
    /// Folder of your definitions and participants.yaml [default: ./sagas if it has definitions, else the built-in
    /// ones]
    #[arg(long, value_name = "FOLDER")]
    sagas: Option<PathBuf>,
    /// Port of the web UI and the API
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Belongs to `saga serve`; here only for its error message
    #[arg(long = "listen", value_name = "ADDRESS", hide = true, value_parser = no_address)]
    _listen: Option<Infallible>,
    /// Port at which clients find Kafka [default: the port of the last run in this folder if it is free, else any free
    /// port]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    kafka_port: Option<u16>,
    /// Port at which clients find the schema registry [default: as with --kafka-port]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    registry_port: Option<u16>,
    /// Number of sample orders to place [default: one now and then, without end]
    #[arg(long, value_name = "N")]
    orders: Option<u32>,
    /// End when the sagas of all orders have ended or are parked
    #[arg(long, requires = "orders")]
    exit: bool,
}

fn no_port(port: &str) -> Result<Infallible, String> {
    Err(format!("`saga serve` takes an address: --listen 127.0.0.1:{port}"))
}

fn no_address(address: &str) -> Result<Infallible, String> {
    let port = address.rsplit(':').next().unwrap_or(address);
    Err(format!("`saga dev` listens on this machine only and takes a port: --port {port}"))
}

pub(super) async fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let given = [
        ("store", args.store),
        ("sagas", args.sagas),
        ("kafka.bootstrapServers", args.bootstrap_servers),
        ("api.listen", args.listen),
        ("api.insecure", args.insecure.then(|| "true".to_owned())),
    ];
    let flags = given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let config = config::load_to_serve(&ConfigSources::of_process(args.file.config.as_deref(), flags))?;
    let files = DefinitionFiles::of_folders(&config.sagas, &config.schemas)?;
    let options = StartupOptions { broker: BrokerKind::Real, observer: ObserverHandle::default() };
    startup::run(config, files, options, shutdown::signal()).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn dev(args: DevArgs) -> anyhow::Result<ExitCode> {
    let options = dev::DevOptions {
        data: args.data,
        listen: SocketAddr::from(([127, 0, 0, 1], args.port)),
        orders: args.orders,
        exit: args.exit,
        sagas: args.sagas,
        kafka_port: args.kafka_port,
        registry_port: args.registry_port,
    };
    let accounted_for = dev::run(options, TerminalWriter::stdout()?, shutdown::signal()).await?;
    Ok(if accounted_for { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    enum RunCommandLine {
        Serve(ServeArgs),
        Dev(DevArgs),
    }

    #[test]
    fn where_to_listen_is_told_in_the_other_commands_words() {
        let said = |line: &[&str]| RunCommandLine::try_parse_from(line).expect_err("it has no such option").to_string();
        for option in [&["--port", "9000"][..], &["--port=9000"]] {
            let said = said(&[&["saga", "serve"], option].concat());
            assert!(said.contains("--listen 127.0.0.1:9000"), "{said}");
        }
        for address in ["127.0.0.1:9000", "9000", "[::1]:9000", ":9000"] {
            let said = said(&["saga", "dev", "--listen", address]);
            assert!(said.contains("--port 9000"), "{said}");
        }
    }
}
