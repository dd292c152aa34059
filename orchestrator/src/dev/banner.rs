//! The texts before the first saga and after the last one.

use super::{definitions::DefinitionSource, files::DevFolder, schema_registry::DevRegistry, tally::TallySummary};
use crate::{shell::quoted, startup::LoadedDefinitions};
use saga_core::definition::participants::TransportConfig;
use std::{net::SocketAddr, time::Instant};

/// Names that are listed; more are only counted.
const LISTED: usize = 5;

/// Addresses and files of the run.
pub(super) struct BannerInfo<'a> {
    pub(super) folder: &'a DevFolder,
    pub(super) page: SocketAddr,
    pub(super) definitions: &'a DefinitionSource,
    pub(super) loaded: &'a LoadedDefinitions,
    pub(super) kafka: SocketAddr,
    /// The port of an earlier run, which another process uses now.
    pub(super) instead_of: Option<u16>,
    pub(super) registry: &'a DevRegistry,
    pub(super) http: SocketAddr,
    /// Whether orders of the shop start sagas.
    pub(super) takes_orders: bool,
    pub(super) left_open: usize,
}

/// The text when everything works.
pub(super) fn welcome(places: &BannerInfo<'_>) -> String {
    let BannerInfo { folder, page, kafka, .. } = places;
    format!(
        "\
This process runs an engine, a Kafka broker, participants and customers.
Ctrl-C ends it; the next run goes on with its sagas.

  sagas         http://localhost:{port}
  definitions   {definitions}
  Kafka         {kafka}  events on {triggers}{moved}
  schemas       http://{registry}  for clients with Avro serialisers{registry_moved}
{participants}  journal       saga list --config {config}
  an engine     saga serve --config {beside} --sagas FOLDER

{try_it}
{earlier}",
        port = page.port(),
        definitions = definitions(places),
        triggers = places.loaded.trigger_topics().join(", "),
        moved = moved(places.instead_of),
        registry = places.registry.address(),
        registry_moved = moved(places.registry.instead_of),
        participants = participants(places),
        config = quoted(&folder.config().to_string_lossy()),
        beside = quoted(&folder.beside().to_string_lossy()),
        try_it = if places.takes_orders { order_something(*kafka) } else { publish_something(places) },
        earlier = earlier(places.left_open),
    )
}

fn moved(instead_of: Option<u16>) -> String {
    instead_of.map_or_else(String::new, |port| format!("  (another process uses port {port} of the last run)"))
}

fn definitions(places: &BannerInfo<'_>) -> String {
    let names: Vec<&str> = places.loaded.plans.iter().map(|plan| plan.definition.name.as_ref()).collect();
    let names = names.join(", ");
    match places.definitions {
        DefinitionSource::Shipped => format!("built in: {names}  (for your own: --sagas FOLDER, or ./sagas)"),
        DefinitionSource::Folder(folder) => format!("{}: {names}", folder.display()),
    }
}

fn participants(places: &BannerInfo<'_>) -> String {
    let (mut kafka, mut commands, mut http, mut own) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (name, participant) in places.loaded.participants.iter() {
        match &participant.transport {
            _ if !places.loaded.played.iter().any(|played| played == name) => own.push(name),
            TransportConfig::Kafka { commands: topic } => {
                kafka.push(name);
                commands.push(topic.as_str());
            }
            TransportConfig::Http { .. } => http.push(name),
        }
    }
    let mut lines = Vec::new();
    if !kafka.is_empty() {
        lines.push(format!("{} on topics {}", kafka.join(", "), commands.join(", ")));
    }
    if !http.is_empty() {
        lines.push(format!("{} at http://{}", http.join(", "), places.http));
    }
    if !own.is_empty() {
        lines.push(format!("{}: your own, at the addresses in participants.yaml", own.join(", ")));
    }
    let titled =
        |(number, line): (usize, &String)| format!("  {:<14}{line}\n", if number == 0 { "participants" } else { "" });
    lines.iter().enumerate().map(titled).collect()
}

fn order_something(kafka: SocketAddr) -> String {
    format!(
        "\
Place an order yourself, for example with kcat:

  echo '{EXAMPLE}' \\
    | kcat -P -b {kafka} -t shop.orders -H ce_type=OrderPlaced

An order with a unicorn or a piano, by the customer mallory, or for 100000 cents or more is compensated.
An order to Atlantis is parked: an operator has to decide."
    )
}

fn publish_something(places: &BannerInfo<'_>) -> String {
    let kcat = places.loaded.plans.iter().take(LISTED).map(|plan| {
        let trigger = &plan.definition.trigger;
        let header =
            trigger.event_type.as_ref().map_or_else(String::new, |name| format!(" -H ce_type={}", quoted(name)));
        format!("\n  echo '{{…}}' | kcat -P -b {} -t {}{header}", places.kafka, trigger.topic)
    });
    format!("Publish an event that starts a saga, for example with kcat:\n{}", kcat.collect::<String>())
}

fn earlier(left_open: usize) -> String {
    match left_open {
        0 => String::new(),
        1 => "\nOne saga of an earlier run is open and goes on.".to_owned(),
        some => format!("\n{some} sagas of earlier runs are open and go on."),
    }
}

/// An order that completes.
pub(super) const EXAMPLE: &str = concat!(
    r#"{"orderId": "mine-1", "customerId": "me", "amountCents": 4900, "digital": false, "#,
    r#""address": {"city": "Turin"}, "items": [{"sku": "teapot", "quantity": 1}]}"#
);

/// The text at the end of a batch: how its sagas ended.
pub(super) fn summary(summary: &TallySummary, first_order: Instant) -> String {
    let took = summary.last_settled.map_or(0.0, |last| last.duration_since(first_order).as_secs_f64());
    let rate = if took > 0.0 { f64::from(summary.settled()) / took } else { 0.0 };
    let median =
        summary.median.map_or_else(String::new, |median| format!(", half of them within {} ms", median.as_millis()));
    let TallySummary { completed, compensated, parked, abandoned, .. } = summary;
    let mut text = format!(
        "\n{} sagas in {took:.1} s: {rate:.1} sagas/s{median}\n\n  \
         completed    {completed:>6}   every step is done\n  \
         compensated  {compensated:>6}   every step that was done is undone\n  \
         parked       {parked:>6}   an operator has to decide\n",
        summary.settled(),
    );
    if *abandoned > 0 {
        text.push_str(&format!("  abandoned    {abandoned:>6}   an operator ended them as they were\n"));
    }
    text.push_str(&unaccounted(summary));
    text
}

/// The text when the user has ended the run.
pub(super) fn farewell(summary: &TallySummary) -> String {
    let TallySummary { completed, compensated, parked, unaccounted, .. } = summary;
    let open = match unaccounted.len() {
        0 => "nothing is open".to_owned(),
        some => format!("{some} open: the next run in this folder goes on with them"),
    };
    format!("\nEnded: {completed} completed, {compensated} compensated, {parked} parked, {open}.")
}

fn unaccounted(summary: &TallySummary) -> String {
    let open = &summary.unaccounted;
    if open.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = open.iter().take(LISTED).map(|(_, key)| key.as_str()).collect();
    let more = if open.len() > LISTED { ", …" } else { "" };
    format!("  not finished {:>6}   {}{more}\n", open.len(), names.join(", "))
}
