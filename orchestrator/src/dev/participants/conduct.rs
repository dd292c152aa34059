//! What the sample participants do with a command. Only the content of the command decides it, so a customer can order
//! a success, a refusal or a missing answer.
//!
//! | what is asked for | what happens |
//! |---|---|
//! | an item `unicorn` | inventory has none: refused |
//! | an item `piano` | inventory ignores the command |
//! | a customer `mallory` | a fraud score of 95, where the sagas allow less |
//! | a customer `bob` | no member of the loyalty programme: refused |
//! | a charge of 1,000.00 or more | over the card's limit: refused |
//! | a charge of 99.99 | charged, and answered too late the first time |
//! | a charge of 666.00 | charged, and never answered |
//! | an address in Atlantis | no courier goes there, until an operator retries |
//! | a trip to PEK | a visa is required |
//! | a car in VCE | none to be had: refused |
//! | an account that ends with 666 | blocked: refused |
//! | a transfer to an account that ends with 404 | closed: refused |

use saga_participant::{CommandDirection, CommandHandler, HandlerError, ParticipantAnswer, PriorOutcome, SagaCommand};
use serde_json::{Value, json};
use sqlx::{Sqlite, SqliteConnection};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// From here on a charge is refused.
const CARD_LIMIT_CENTS: i64 = 100_000;
/// A charge that is answered late.
const LATE_CENTS: i64 = 9_999;
/// A charge that is never answered.
const WITHHELD_CENTS: i64 = 66_600;

/// Whether and when the participant sends the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerTiming {
    /// At once, for every attempt of the command.
    Prompt,
    /// The first one too late, a repeated one at once.
    LateAtFirst,
    /// Never; the participant performs the command.
    Withheld,
    /// Never; the participant does not perform the command.
    Deaf,
}

pub(super) fn delivery(command: &SagaCommand) -> AnswerTiming {
    match (command.direction(), command.name.as_str()) {
        (CommandDirection::Do, "inventory.ReserveStock") if asks_for(command, "piano") => AnswerTiming::Deaf,
        (CommandDirection::Do, "POST payments/charges") => match cents(command) {
            LATE_CENTS => AnswerTiming::LateAtFirst,
            WITHHELD_CENTS => AnswerTiming::Withheld,
            _ => AnswerTiming::Prompt,
        },
        (CommandDirection::Do | CommandDirection::Undo, _) => AnswerTiming::Prompt,
    }
}

/// Performs one command; nothing is written but the answer, which the barrier keeps.
#[derive(Debug)]
pub(super) struct SampleHandler {
    performed: PerformedFlag,
}

/// Whether the command was performed now; if not, it had its answer before.
#[derive(Clone, Debug, Default)]
pub(super) struct PerformedFlag(Arc<AtomicBool>);

impl SampleHandler {
    pub(super) fn new() -> (SampleHandler, PerformedFlag) {
        let performed = PerformedFlag::default();
        (SampleHandler { performed: performed.clone() }, performed)
    }
}

impl PerformedFlag {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl CommandHandler<Sqlite> for SampleHandler {
    async fn perform(
        &self,
        _: &mut SqliteConnection,
        command: &SagaCommand,
        before: PriorOutcome,
    ) -> Result<ParticipantAnswer, HandlerError> {
        self.performed.0.store(true, Ordering::Relaxed);
        Ok(answer(command, &before))
    }
}

fn answer(command: &SagaCommand, before: &PriorOutcome) -> ParticipantAnswer {
    match command.direction() {
        CommandDirection::Undo => ParticipantAnswer::Succeeded(json!({"undone": true})),
        CommandDirection::Do => match command.name.split_once(['.', ' ']) {
            Some(("inventory" | "shipping" | "accounts", _)) => over_kafka(command, before),
            Some(_) | None => over_http(command),
        },
    }
}

fn over_kafka(command: &SagaCommand, before: &PriorOutcome) -> ParticipantAnswer {
    let at = |pointer| text(command, pointer);
    match command.name.as_str() {
        "inventory.ReserveStock" if asks_for(command, "unicorn") => {
            declined("out_of_stock", "there is no unicorn in stock")
        }
        "inventory.ReserveStock" => number(command, "reservationId", "R"),
        "shipping.CreateParcel" if at("/address/city") == "Atlantis" && *before == PriorOutcome::Nothing => {
            declined("undeliverable", "no courier goes to Atlantis")
        }
        "shipping.CreateParcel" => number(command, "trackingId", "P"),
        "shipping.SendLetter" => number(command, "letterId", "L"),
        "accounts.HoldAmount" if at("/account").ends_with("666") => declined("blocked", "the account is blocked"),
        "accounts.HoldAmount" => number(command, "holdId", "H"),
        "accounts.Transfer" if at("/to").ends_with("404") => declined("closed", "the account does not exist any more"),
        "accounts.Transfer" => number(command, "bookedAt", "B"),
        other => unknown(other),
    }
}

fn over_http(command: &SagaCommand) -> ParticipantAnswer {
    match command.name.as_str() {
        "POST payments/fraud-checks" => {
            ParticipantAnswer::Succeeded(json!({"score": score(text(command, "/customerId"))}))
        }
        "POST payments/loyalty" if text(command, "/customerId") == "bob" => {
            declined("no_member", "bob collects no points")
        }
        "POST payments/loyalty" => ParticipantAnswer::Succeeded(json!({"points": 10})),
        "POST payments/charges" if cents(command) >= CARD_LIMIT_CENTS => {
            declined("card_declined", "the card's limit is 1,000.00")
        }
        "POST payments/charges" => number(command, "chargeId", "C"),
        "POST travel/flights" => booked(command, "F", 18_900),
        "POST travel/hotels" => booked(command, "B", 8_900 * nights(command)),
        "POST travel/cars" if text(command, "/city") == "VCE" => declined("no_cars", "there are no cars in Venice"),
        "POST travel/cars" => booked(command, "A", 7_500),
        other => match other.split_once('/') {
            Some(("GET travel", rest)) if rest.starts_with("visa-rules/") => {
                ParticipantAnswer::Succeeded(json!({"required": rest.ends_with("/PEK")}))
            }
            Some(("PUT travel", rest)) if rest.starts_with("accounts/") => number(command, "accountId", "U"),
            Some(_) | None => unknown(other),
        },
    }
}

fn declined(code: &str, message: &str) -> ParticipantAnswer {
    ParticipantAnswer::refused(code, message)
}

fn unknown(target: &str) -> ParticipantAnswer {
    declined("unknown_command", &format!("no sample participant has the command {target}"))
}

/// Something with a number of its own: of the saga, so that it is the same for every attempt.
fn number(command: &SagaCommand, name: &str, prefix: &str) -> ParticipantAnswer {
    ParticipantAnswer::Succeeded(json!({name: name_of(command, prefix)}))
}

fn booked(command: &SagaCommand, prefix: &str, cents: i64) -> ParticipantAnswer {
    ParticipantAnswer::Succeeded(json!({"bookingId": name_of(command, prefix), "priceCents": cents}))
}

fn name_of(command: &SagaCommand, prefix: &str) -> String {
    format!("{prefix}-{}", command.id.saga.rsplit('-').next().unwrap_or_default())
}

fn score(customer: &str) -> i64 {
    if customer.starts_with("mallory") { 95 } else { 12 }
}

fn asks_for(command: &SagaCommand, sku: &str) -> bool {
    let lines = command.body.pointer("/lines").and_then(Value::as_array);
    lines.is_some_and(|lines| lines.iter().any(|line| line.get("sku").and_then(Value::as_str) == Some(sku)))
}

fn text<'a>(command: &'a SagaCommand, pointer: &str) -> &'a str {
    command.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn cents(command: &SagaCommand) -> i64 {
    command.body.get("amountCents").and_then(Value::as_i64).unwrap_or(0)
}

fn nights(command: &SagaCommand) -> i64 {
    /// A longer stay costs no more, so that no number overflows.
    const MOST: i64 = 365;
    command.body.get("nights").and_then(Value::as_i64).unwrap_or(1).clamp(1, MOST)
}
