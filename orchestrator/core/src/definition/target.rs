//! Whom a call goes to: `participant.Command` or `METHOD participant/path`; in place of the participant may stand
//! `capability:name`.

use super::{
    diagnostic::{Code, FindingCollector, TextSpan, did_you_mean},
    spanned::SpannedValue,
    uses::{AcceptedValues, ExpressionPlace, ExpressionPurpose, ParseContext, QueryPurpose},
    wishes, written,
};
use crate::{
    command::HttpMethod,
    definition::model::{CallTarget, ParticipantSelector},
    expression::PathTemplate,
};

/// Before the name of a capability. A participant's name holds no colon.
const CAPABILITY: &str = "capability:";

/// Longest name of a capability.
const CAPABILITY_BYTES: usize = 64;

pub(crate) const HELP: &str = "write participant.Command for Kafka, or METHOD participant/path for HTTP";

/// Reads a target; its path's expressions are noted as used at `place`.
pub(crate) fn read(
    text: &SpannedValue<String>,
    place: ExpressionPlace,
    reading: &mut ParseContext,
) -> Option<CallTarget> {
    match text.value.split_once(' ') {
        None => kafka(text, &mut reading.report),
        Some((method, rest)) => http(method, rest.trim_start(), text, place, reading),
    }
}

/// What the query of a target is for, if what it is sent goes into a query.
pub(crate) fn query(text: &str, place: ExpressionPlace) -> Option<QueryPurpose> {
    match (text.split_once(' ')?.0, place) {
        ("DELETE", _) | ("GET", ExpressionPlace::Undo(_)) => Some(QueryPurpose::Remove),
        ("GET", _) => Some(QueryPurpose::Read),
        _ => None,
    }
}

fn kafka(text: &SpannedValue<String>, report: &mut FindingCollector) -> Option<CallTarget> {
    let split = text.value.rsplit_once('.').filter(|(_, command)| is_name(command));
    let Some((whom, command)) = split.and_then(|(name, command)| Some((whom(name)?, command))) else {
        bad(report, text.span, &text.value);
        return None;
    };
    Some(CallTarget::Kafka { whom, command: command.to_owned() })
}

fn http(
    method: &str,
    rest: &str,
    text: &SpannedValue<String>,
    place: ExpressionPlace,
    reading: &mut ParseContext,
) -> Option<CallTarget> {
    let Ok(method) = method.parse::<HttpMethod>() else {
        let help = did_you_mean(method, HttpMethod::ALL.map(HttpMethod::as_str)).unwrap_or_else(|| HELP.to_owned());
        reading.report.error(Code::BadTarget, text.span, format!("`{method}` is not a method")).help(help);
        return None;
    };
    let Some((whom, path)) = rest.split_once('/').and_then(|(name, path)| Some((whom(name)?, path))) else {
        bad(&mut reading.report, text.span, &text.value);
        return None;
    };
    match PathTemplate::compile(path) {
        Ok(path_template) => {
            written::path(path, text.span, &mut reading.report);
            let path = path_template;
            let at = ExpressionPurpose { place, takes: AcceptedValues::Path };
            reading.uses.add_all(path.expressions(), text.span, &text.value, at);
            Some(CallTarget::Http { whom, method, path })
        }
        Err(error) => {
            super::values::report_compile_error(&mut reading.report, Code::BadTarget, text.span, path, &error);
            None
        }
    }
}

fn bad(report: &mut FindingCollector, span: TextSpan, text: &str) {
    let is_fixed = text.split_once('/').map_or(text, |(whom, _)| whom).contains("${");
    let help = match text {
        _ if text.starts_with("saga:") => wishes::SUB_SAGA,
        _ if is_fixed => {
            "the participant and the command cannot contain `${ }`: name a participant, or capability:name; give \
                the steps an `if` where there are several"
        }
        _ => HELP,
    };
    report.error(Code::BadTarget, span, format!("`{text}` is not a command")).help(help);
}

fn whom(text: &str) -> Option<ParticipantSelector> {
    match text.strip_prefix(CAPABILITY) {
        Some(name) => is_capability(name).then(|| ParticipantSelector::Capability(name.to_owned())),
        None => is_name(text).then(|| ParticipantSelector::Participant(text.to_owned())),
    }
}

/// Whether `text` can name a capability: lower case letters, digits and `-`, a letter first.
pub(crate) fn is_capability(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.len() <= CAPABILITY_BYTES
        && text.chars().all(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-')
}

/// Whether `text` can name a participant or a command: letters, digits, `.`, `_` and `-`, a letter first.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.len() <= 128
        && text.chars().all(|sign| sign.is_ascii_alphanumeric() || "._-".contains(sign))
}
