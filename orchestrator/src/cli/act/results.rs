//! Results of acts as text: one line each, whatever text of strangers is in it.

use crate::cli::operator::line;
use saga_core::event::OperatorAction;
use serde_json::Value;

/// The result of an act or of its dry run: `retry …: applied, and parked again at once: …`
pub(super) fn one(action: OperatorAction, answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    let on = on(answer);
    if !answer["leadsTo"].is_null() {
        let outcome = format!("would lead to {}. Nothing was done", leads_to(answer));
        return line(action.as_str(), text("saga"), &outcome);
    }
    let status = match answer["appliedAt"].as_str() {
        Some(at) => format!("applied before, at {at}; nothing was done again"),
        None => text("status").to_owned(),
    };
    let now = came_of(action, answer).or_else(|| in_archive(answer)).unwrap_or_default();
    line(action.as_str(), text("saga"), &format!("{status}{now} ({on}act {})", text("id")))
}

/// What the archive of an erased saga has of it.
fn in_archive(answer: &Value) -> Option<String> {
    let left = &answer["archive"];
    match left["pending"].as_str() {
        Some(pending) => Some(format!("; {pending}")),
        None => left.as_str().map(|_| "; its archive has nothing of its content any more".to_owned()),
    }
}

fn came_of(action: OperatorAction, answer: &Value) -> Option<String> {
    let status = answer["now"]["status"].as_str()?;
    let place = place(&answer["now"]);
    Some(match (status, action) {
        ("parked", OperatorAction::Retry | OperatorAction::Skip) if answer["appliedAt"].is_null() => {
            format!(", and parked again at once{place}")
        }
        _ => format!("; now {status}{place}"),
    })
}

/// The step of a saga, and the reason: `, at charge: http.422`
fn place(line: &Value) -> String {
    let part = |before: &str, key: &str| line[key].as_str().map(|text| format!("{before}{text}")).unwrap_or_default();
    format!("{}{}", part(", at ", "step"), part(": ", "reason"))
}

fn leads_to(answer: &Value) -> String {
    let prospect = &answer["leadsTo"];
    let status = prospect["status"].as_str().unwrap_or_default();
    let names = |key: &str| {
        let names = prospect[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(", ")
    };
    let part = |before: &str, key: &str| match names(key) {
        names if names.is_empty() => String::new(),
        names => format!("; {before} {names}"),
    };
    let parts = [part("starts", "starts"), part("undoes", "undoes"), part("leaves as they are", "leaves")].concat();
    format!("{status}{}{parts}", place(prospect))
}

/// The step that an act was about: `step charge, `
fn on(answer: &Value) -> String {
    match (answer["step"].as_str(), answer["direction"].as_str()) {
        (Some(step), Some("undo")) => format!("the undo of step {step}, "),
        (Some(step), _) => format!("step {step}, "),
        (None, _) => String::new(),
    }
}

/// The result for one saga of a job.
pub(in crate::cli) fn item(action: OperatorAction, item: &Value) -> String {
    let name = item["now"]["key"].as_str().map(|key| format!(" ({key})")).unwrap_or_default();
    let id = item["id"].as_str().unwrap_or_default();
    let came = match (item["result"].as_str().unwrap_or_default(), item["message"].as_str()) {
        (_, _) if !item["leadsTo"].is_null() && action == OperatorAction::Migrate => {
            format!("fits; the saga would be {}", leads_to(item))
        }
        (_, _) if !item["leadsTo"].is_null() => format!("would lead to {}", leads_to(item)),
        ("before", Some(message)) => format!("nothing was done: {message}"),
        ("before", None) => "applied before; nothing was done again".to_owned(),
        ("accepted", _) => "accepted, not yet applied".to_owned(),
        (result, Some(message)) => format!("{result}: {message}"),
        (_, None) => format!("applied{}", came_of(action, item).unwrap_or_default()),
    };
    line(action.as_str(), &format!("{id}{name}"), &came)
}

/// The result of a whole job.
pub(in crate::cli) fn summary(action: OperatorAction, job: &Value) -> String {
    let told = match counts(job) {
        told if told.is_empty() => "no saga was found".to_owned(),
        told => told,
    };
    let action = action.as_str();
    let action = if job["dryRun"] == true { format!("{action} (dry run)") } else { action.to_owned() };
    let ended = match job["failure"].as_str() {
        Some(failure) => format!("failed: {failure}"),
        None => job["status"].as_str().unwrap_or_default().to_owned(),
    };
    format!("{action} of {} sagas: {told}; job {} {ended}", job["lookedAt"], job["id"].as_str().unwrap_or_default())
}

/// `11 applied, 1 refused`
pub(in crate::cli) fn counts(job: &Value) -> String {
    let parts = [
        ("applied", "applied"),
        ("elsewhere", "applied and parked again, or ended in another status"),
        ("before", "applied before"),
        ("accepted", "accepted, not yet applied"),
        ("refused", "refused"),
        ("failed", "failed"),
    ];
    let would_be = if job["dryRun"] == true { "would be " } else { "" };
    let told = parts.iter().filter_map(|(key, words)| {
        let count = job["counts"][*key].as_u64().filter(|count| *count > 0)?;
        Some(format!("{count} {would_be}{words}"))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Whether every saga has the status that the act aims at.
pub(in crate::cli) fn is_full_success(job: &Value) -> bool {
    let none = |key: &str| job["counts"][key].as_u64() == Some(0);
    job["status"] == "done" && ["elsewhere", "refused", "failed"].into_iter().all(none)
}
