//! The sample orders: the same mix in every run, with successes, refusals and missing answers within the first dozen.

use serde_json::{Value, json};

/// An event that starts a saga.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SampleOrder {
    /// Name of the definition that it starts.
    pub(super) saga: &'static str,
    /// The business key of the saga.
    pub(super) key: String,
    pub(super) topic: &'static str,
    pub(super) event_type: &'static str,
    pub(super) payload: Value,
}

/// What is special about an order of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SampleOrderKind {
    Plain,
    Digital,
    CardDeclined,
    BankLate,
    BankSilent,
    Fraud,
    OutOfStock,
    InventorySilent,
    Undeliverable,
    NoPoints,
}

/// Twenty orders, then again from the first. Orders without an answer come early, because the end of a run waits for
/// them.
const MIX: [SampleOrderKind; 20] = [
    SampleOrderKind::Plain,
    SampleOrderKind::CardDeclined,
    SampleOrderKind::InventorySilent,
    SampleOrderKind::Digital,
    SampleOrderKind::Fraud,
    SampleOrderKind::BankLate,
    SampleOrderKind::Plain,
    SampleOrderKind::Undeliverable,
    SampleOrderKind::NoPoints,
    SampleOrderKind::BankSilent,
    SampleOrderKind::OutOfStock,
    SampleOrderKind::Plain,
    SampleOrderKind::Plain,
    SampleOrderKind::Digital,
    SampleOrderKind::CardDeclined,
    SampleOrderKind::Plain,
    SampleOrderKind::Plain,
    SampleOrderKind::Digital,
    SampleOrderKind::Plain,
    SampleOrderKind::Plain,
];

const CUSTOMERS: [&str; 5] = ["ada", "grace", "linus", "edsger", "barbara"];
const GOODS: [(&str, i64); 4] = [("teapot", 2_490), ("lamp", 3_900), ("kettle", 4_450), ("blanket", 5_900)];

/// Order number `number` (from 1) of the shop. `run` tells the runs in one folder apart.
pub(super) fn shop(run: &str, number: u32) -> SampleOrder {
    let kind = MIX[at(number, MIX.len())];
    let key = format!("order-{run}-{number:03}");
    let (sku, cents) = wanted(kind, number);
    let customer = match kind {
        SampleOrderKind::Fraud => "mallory",
        SampleOrderKind::NoPoints => "bob",
        SampleOrderKind::Plain
        | SampleOrderKind::Digital
        | SampleOrderKind::CardDeclined
        | SampleOrderKind::BankLate
        | SampleOrderKind::BankSilent
        | SampleOrderKind::OutOfStock
        | SampleOrderKind::InventorySilent
        | SampleOrderKind::Undeliverable => CUSTOMERS[at(number, CUSTOMERS.len())],
    };
    let digital = kind == SampleOrderKind::Digital;
    let city = if kind == SampleOrderKind::Undeliverable { "Atlantis" } else { "Turin" };
    let address = json!({"name": customer, "street": "Via Roma 1", "city": city, "country": "IT"});
    let payload = json!({
        "orderId": key,
        "customerId": customer,
        "amountCents": cents,
        "digital": digital,
        "address": if digital { Value::Null } else { address },
        "items": [{"sku": sku, "quantity": 1, "priceCents": cents}],
    });
    SampleOrder { saga: "order-fulfillment", key, topic: "shop.orders", event_type: "OrderPlaced", payload }
}

fn wanted(kind: SampleOrderKind, number: u32) -> (&'static str, i64) {
    match kind {
        SampleOrderKind::Plain
        | SampleOrderKind::Fraud
        | SampleOrderKind::Undeliverable
        | SampleOrderKind::NoPoints => GOODS[at(number, GOODS.len())],
        SampleOrderKind::Digital => ("e-book", 1_290),
        SampleOrderKind::CardDeclined => ("sofa", 124_900),
        SampleOrderKind::BankLate => ("radio", 9_999),
        SampleOrderKind::BankSilent => ("camera", 66_600),
        SampleOrderKind::OutOfStock => ("unicorn", 49_900),
        SampleOrderKind::InventorySilent => ("piano", 89_000),
    }
}

/// Orders of the other businesses in turn: a trip, a transfer of money, a subscription.
pub(super) fn elsewhere(run: &str, number: u32) -> SampleOrder {
    let turn = number.saturating_sub(1) / 3;
    match number % 3 {
        1 => trip(run, number, turn),
        2 => transfer(run, number, turn),
        _ => subscription(run, number, turn),
    }
}

fn trip(run: &str, number: u32, turn: u32) -> SampleOrder {
    let key = format!("trip-{run}-{number:03}");
    let (to, nights, wants_car) =
        [("LIS", 3, false), ("PEK", 5, false), ("VCE", 2, true), ("OSL", 4, true)][at(turn + 1, 4)];
    let payload = json!({
        "tripId": key, "travellerId": CUSTOMERS[at(number, CUSTOMERS.len())],
        "from": "TRN", "to": to, "nights": nights, "wantsCar": wants_car, "visaNumber": null,
    });
    SampleOrder { saga: "travel-booking", key, topic: "travel.bookings", event_type: "TripRequested", payload }
}

fn transfer(run: &str, number: u32, turn: u32) -> SampleOrder {
    let key = format!("transfer-{run}-{number:03}");
    let (from, to) = [
        ("IT60 0001", "PT50 0002"),
        ("IT60 0666", "PT50 0002"),
        ("mallory's savings", "PT50 0002"),
        ("IT60 0001", "PT50 0404"),
    ][at(turn + 1, 4)];
    let payload = json!({"transferId": key, "from": from, "to": to, "amountCents": 12_500});
    SampleOrder { saga: "money-transfer", key, topic: "bank.transfers", event_type: "TransferOrdered", payload }
}

fn subscription(run: &str, number: u32, turn: u32) -> SampleOrder {
    let name = CUSTOMERS[at(number, CUSTOMERS.len())];
    let customer = format!("{name}-{run}-{number:03}");
    let (plan, cents) = [("basic", 900), ("gold", 120_000)][at(turn + 1, 2)];
    let payload = json!({
        "customerId": customer, "name": name, "plan": plan, "features": ["news", ""], "amountCents": cents,
    });
    let key = format!("{customer}/{plan}");
    SampleOrder {
        saga: "subscription-signup",
        key,
        topic: "shop.subscriptions",
        event_type: "SubscriptionRequested",
        payload,
    }
}

/// `number` counts from 1.
fn at(number: u32, length: usize) -> usize {
    usize::try_from(number).unwrap_or(0).saturating_sub(1) % length
}

/// A name for a run that starts at `ms` since the epoch: short, and later ones sort later.
pub(super) fn run_name(ms: i64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let (mut rest, mut digits) = (ms.unsigned_abs(), Vec::new());
    while rest > 0 {
        let digit = usize::try_from(rest % 36).expect("less than 36");
        digits.push(char::from(DIGITS[digit]));
        rest /= 36;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_first_dozen_has_every_kind() {
        let kinds: BTreeSet<String> = MIX[..12].iter().map(|kind| format!("{kind:?}")).collect();
        assert_eq!(kinds.len(), 10);
    }

    #[test]
    fn keys_differ_between_orders_and_between_runs() {
        let keys =
            |run: &str| (1..=40).flat_map(|number| [shop(run, number).key, elsewhere(run, number).key]).collect();
        let (one, other): (BTreeSet<String>, BTreeSet<String>) = (keys("a"), keys("b"));
        assert_eq!((one.len(), one.is_disjoint(&other)), (80, true));
    }

    #[test]
    fn a_later_run_has_a_later_name() {
        let names = [1_783_676_000_000, 1_783_676_000_001, 1_900_000_000_000].map(run_name);
        assert!(names.is_sorted() && names.iter().all(|name| name.len() == 8), "{names:?}");
    }
}
