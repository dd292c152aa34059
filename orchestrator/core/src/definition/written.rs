//! Texts that are not what they look like: an expression that is taken as it is, a name that its holder does not take,
//! a number in quotes.

use super::{
    diagnostic::{Code, FindingCollector, SuggestedFix, TextSpan},
    quoting,
    spanned::SpannedValue,
    tree::{YamlNode, YamlValue},
    uses::{AcceptedValues, ExpressionPurpose},
};
use crate::expression::ValueTemplate;

/// Longest name of a topic that Kafka takes.
const TOPIC_BYTES: usize = 249;

/// Names under which expressions see something.
const ROOTS: [&str; 6] = ["event", "record", "saga", "steps", "input", "result"];

/// Reports a name that no topic can have.
pub(crate) fn topic(name: &SpannedValue<String>, report: &mut FindingCollector) {
    let text = name.value.as_str();
    let strange = text.chars().find(|sign| !sign.is_ascii_alphanumeric() && !"._-".contains(*sign));
    let why = match strange {
        _ if text.contains("${") => "`${ }` is not evaluated in it".to_owned(),
        Some(sign) => format!("`{}` is not allowed in it", sign.escape_debug()),
        None if text == "." || text == ".." => "it is no name".to_owned(),
        None if text.len() > TOPIC_BYTES => format!("it has {} characters", text.len()),
        None => return,
    };
    let shown = crate::expression::shorten(text, 60);
    let help = format!("letters from a to z, digits, `.`, `_` and `-`, at most {TOPIC_BYTES}");
    report.error(Code::BadName, name.span, format!("`{shown}` cannot be the name of a topic: {why}")).help(help);
}

/// Reports an event type that a header cannot carry, or that contains an expression.
pub(crate) fn event_type(name: &SpannedValue<String>, key: &str, report: &mut FindingCollector) {
    let text = name.value.as_str();
    let why = if text.contains("${") {
        "cannot contain `${ }`: it is not evaluated"
    } else if text.chars().any(char::is_control) {
        "cannot contain control characters or line breaks"
    } else if text.trim() != text {
        "cannot begin or end with blanks"
    } else {
        return;
    };
    report.error(Code::WrongValue, name.span, format!("`{key}` {why}")).help("write it as it is in the header ce_type");
}

/// Reports a text that looks like an expression without being one, and what no database takes.
pub(crate) fn text(
    text: &str,
    span: TextSpan,
    at: ExpressionPurpose,
    template: &ValueTemplate,
    report: &mut FindingCollector,
) {
    without_nul(text, span, report);
    // A key that is such a text is refused.
    if !matches!(template, ValueTemplate::Literal(_)) || at.takes == AcceptedValues::Key || !is_like_expression(text) {
        return;
    }
    let expression = expression_in(text);
    let help = format!("write \"${{ {expression} }}\"; or \"${{ '{text}' }}\" if you mean the text itself");
    report.warning(Code::LiteralExpression, span, format!("`{text}` is a string and is not evaluated")).help(help);
}

/// A key that all sagas would share, because it is a constant text where the author meant an expression.
pub(crate) fn constant_key(node: &YamlNode, text: &str, report: &mut FindingCollector) {
    let quoted = quoting::quoted(&format!("${{ {} }}", expression_in(text)));
    let help = format!("write {quoted}");
    let fix = SuggestedFix { span: node.span, text: quoted };
    let message = format!("`{text}` is a string and is not evaluated: the key is the same for every event");
    let finding = report.error(Code::WrongValue, node.span, message).help(help);
    if text.chars().all(|sign| sign.is_ascii_alphanumeric() || "._".contains(sign)) {
        finding.fix(fix);
    }
}

/// `event.id`, and what other products write for it: `{{ event.id }}`, `$.id`, `$event.id`, `#{id}`.
pub(crate) fn is_like_expression(text: &str) -> bool {
    let text = text.trim();
    let holds = |open: &str, close: &str| text.split_once(open).is_some_and(|(_, rest)| rest.contains(close));
    let is_selection = text.starts_with("$.") || text.strip_prefix('$').is_some_and(is_path);
    is_path(text) || is_selection || holds("{{", "}}") || holds("#{", "}") || holds("$(", ")")
}

/// Whether the text is the path of a value that expressions see: `steps.charge.id`, `doId`.
fn is_path(text: &str) -> bool {
    let mut names = text.split('.');
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|sign| sign.is_ascii_alphanumeric() || "_[]".contains(sign));
    let root = names.next().is_some_and(|root| ROOTS.contains(&root));
    text == "doId" || (root && text.contains('.') && names.all(is_name))
}

/// The expression that the author probably meant.
fn expression_in(text: &str) -> String {
    let inner = text.trim().trim_start_matches(['$', '#', '{', '(']).trim_end_matches(['}', ')']).trim();
    match inner.strip_prefix('.') {
        Some(field) => format!("event.{field}"),
        None => inner.to_owned(),
    }
}

/// Reports segments of a path that stand there as they are and look as if they should not.
pub(crate) fn path(path: &str, span: TextSpan, report: &mut FindingCollector) {
    let is_variable =
        |segment: &&str| is_path(segment) || segment.strip_prefix(':').is_some_and(|name| !name.is_empty());
    let Some(segment) = path.split('/').find(is_variable) else { return };
    let name = segment.trim_start_matches(':');
    let expression = if is_path(name) { name.to_owned() } else { format!("event.{name}") };
    let help = format!("write ${{ {expression} }} for its value");
    report.warning(Code::LiteralExpression, span, format!("`{segment}` in the path is not evaluated")).help(help);
}

/// Reports NUL, which neither the store nor most services take.
pub(crate) fn without_nul(text: &str, span: TextSpan, report: &mut FindingCollector) {
    if text.contains('\0') {
        report
            .error(Code::WrongValue, span, "a string cannot contain NUL: databases do not store it")
            .help("remove `\\0`");
    }
}

/// Whether the expression goes on behind a ` #`, where YAML begins a comment; then that is reported.
pub(crate) fn cut_by_comment(text: &str, span: TextSpan, report: &mut FindingCollector) -> bool {
    let file = report.text();
    let line = file.get(span.end..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let is_cut = text.contains("${") && line.trim_start().starts_with('#') && line.contains('}');
    if is_cut {
        let whole = TextSpan { start: span.start, end: span.end + line.trim_end().len() };
        let quoted = quoting::quoted(&file[whole.start..whole.end]);
        let message = "YAML reads ` #` as the beginning of a comment";
        let fix = SuggestedFix { span: whole, text: quoted.clone() };
        report.error(Code::UnquotedExpression, whole, message).help(format!("quote it: {quoted}")).fix(fix);
    }
    is_cut
}

/// What to write where a number or a boolean stands in quotes.
pub(crate) fn unquoted(node: &YamlNode) -> Option<String> {
    let YamlValue::Text(text) = &node.value else { return None };
    match text.trim() {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "True" | "TRUE" => Some("write true".to_owned()),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" | "False" | "FALSE" => Some("write false".to_owned()),
        plain if plain == "true" || plain == "false" || plain.parse::<f64>().is_ok_and(f64::is_finite) => {
            Some(format!("write {plain} without quotes"))
        }
        _ => None,
    }
}

/// Letters of other alphabets as they are written without them, as far as that is known: `größe` as `groesse`.
pub(crate) fn in_ascii(text: &str) -> String {
    let plain = |sign: char| match sign {
        'ä' | 'æ' => "ae",
        'ö' | 'œ' | 'ø' => "oe",
        'ü' => "ue",
        'ß' => "ss",
        'Ä' | 'Æ' => "Ae",
        'Ö' | 'Œ' | 'Ø' => "Oe",
        'Ü' => "Ue",
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ą' | 'ă' | 'ā' => "a",
        'À' | 'Á' | 'Â' | 'Ã' | 'Å' | 'Ą' => "A",
        'ç' | 'ć' | 'č' => "c",
        'Ç' | 'Ć' | 'Č' => "C",
        'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' | 'ē' => "e",
        'È' | 'É' | 'Ê' | 'Ë' | 'Ę' => "E",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ı' | 'ī' => "i",
        'İ' | 'Í' | 'Î' => "I",
        'ł' | 'ľ' => "l",
        'Ł' => "L",
        'ñ' | 'ń' | 'ň' => "n",
        'Ñ' => "N",
        'ò' | 'ó' | 'ô' | 'õ' | 'ő' => "o",
        'Ó' | 'Ô' | 'Õ' => "O",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'Ś' | 'Š' | 'Ş' => "S",
        'ť' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ű' | 'ů' | 'ū' => "u",
        'Ú' | 'Û' => "U",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'Ź' | 'Ż' | 'Ž' => "Z",
        _ => "",
    };
    let mut result = String::new();
    for sign in text.chars() {
        match plain(sign) {
            "" => result.push(sign),
            letters => result.push_str(letters),
        }
    }
    result
}
