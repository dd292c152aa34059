//! What is said before the first saga and after the last.

use super::{files::Folder, tally::Summary};
use crate::shell::quoted;
use std::{net::SocketAddr, time::Instant};

/// Names that are listed; the others are counted.
const LISTED: usize = 5;

/// Where everything is.
pub(super) struct Places<'a> {
    pub(super) folder: &'a Folder,
    pub(super) page: SocketAddr,
    pub(super) broker: &'a str,
    pub(super) http: SocketAddr,
    pub(super) commands: &'a [String],
    pub(super) triggers: &'a [String],
    pub(super) left_open: usize,
}

/// Said when everything works.
pub(super) fn welcome(places: &Places<'_>) -> String {
    let Places { folder, page, broker, http, commands, triggers, left_open } = places;
    let earlier = match left_open {
        0 => String::new(),
        1 => "\nOne saga of an earlier run is open: it goes on.".to_owned(),
        some => format!("\n{some} sagas of earlier runs are open: they go on."),
    };
    format!(
        "\
An engine, a broker, participants and customers, all in this process. Ctrl-C ends it; the next run goes on where it was.

  sagas         http://localhost:{port}
  Kafka         {broker}  events on {triggers}
  participants  inventory, shipping, accounts on topics {commands}
                payments, travel at http://{http}
  journal       saga list --config {config}

Order something yourself, with kcat for example:

  echo '{example}' \\
    | kcat -P -b {broker} -t shop.orders -H ce_type=OrderPlaced

Ask for a unicorn or a piano, as customer mallory, or for 100000 cents or more, and watch it being undone; ship to Atlantis, and it is parked for you.
{earlier}",
        port = page.port(),
        triggers = triggers.join(", "),
        commands = commands.join(", "),
        config = quoted(&folder.config().to_string_lossy()),
        example = EXAMPLE,
    )
}

/// An order that completes.
pub(super) const EXAMPLE: &str = concat!(
    r#"{"orderId": "mine-1", "customerId": "me", "amountCents": 4900, "digital": false, "#,
    r#""address": {"city": "Turin"}, "items": [{"sku": "teapot", "quantity": 1}]}"#
);

/// Said at the end of a batch: how its sagas ended.
pub(super) fn summary(summary: &Summary, first_order: Instant) -> String {
    let took = summary.last_settled.map_or(0.0, |last| last.duration_since(first_order).as_secs_f64());
    let rate = if took > 0.0 { f64::from(summary.settled()) / took } else { 0.0 };
    let median =
        summary.median.map_or_else(String::new, |median| format!(", half of them within {} ms", median.as_millis()));
    let Summary { completed, compensated, parked, abandoned, .. } = summary;
    let mut text = format!(
        "\n{} sagas in {took:.1} s: {rate:.1} sagas/s{median}\n\n  \
         completed    {completed:>6}   every step is done\n  \
         compensated  {compensated:>6}   whatever was done is undone\n  \
         parked       {parked:>6}   somebody has to decide\n",
        summary.settled(),
    );
    if *abandoned > 0 {
        text.push_str(&format!("  abandoned    {abandoned:>6}   somebody ended them as they were\n"));
    }
    text.push_str(&unaccounted(summary));
    text
}

/// Said when somebody ended the run.
pub(super) fn farewell(summary: &Summary) -> String {
    let Summary { completed, compensated, parked, unaccounted, .. } = summary;
    let open = match unaccounted.len() {
        0 => "nothing is open".to_owned(),
        some => format!("{some} open: the next run in this folder goes on with them"),
    };
    format!("\nEnded: {completed} completed, {compensated} compensated, {parked} parked, {open}.")
}

fn unaccounted(summary: &Summary) -> String {
    let open = &summary.unaccounted;
    if open.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = open.iter().take(LISTED).map(|(_, key)| key.as_str()).collect();
    let more = if open.len() > LISTED { ", …" } else { "" };
    format!("  not finished {:>6}   {}{more}\n", open.len(), names.join(", "))
}
