//! `sensitive:`, members of payloads that are shown as masks, and what may not read them.

use super::{
    diagnostic::Code,
    fields::{MapReader, text, wrong},
    model::SensitivePaths,
    tree::YamlValue,
    uses::{AcceptedValues, ExpressionPlace, ParseContext},
};
use crate::expression::CelExpression;

/// The most paths of a definition; each is looked for in every payload that is shown.
const MOST: usize = 64;
/// First names that a path has not: it is matched in every payload.
const ROOTS: [&str; 7] = ["event", "record", "saga", "steps", "input", "result", "output"];
const EXAMPLE: &str = "for example: sensitive: [iban, card.number]";

pub(super) fn read(fields: &MapReader<'_>, reading: &mut ParseContext) -> SensitivePaths {
    let Some(node) = fields.node("sensitive") else { return SensitivePaths::default() };
    let YamlValue::List(items) = &node.value else {
        wrong(&mut reading.report, node, "`sensitive` must be a list of paths").help(EXAMPLE);
        return SensitivePaths::default();
    };
    if items.len() > MOST {
        wrong(&mut reading.report, node, &format!("at most {MOST} paths are possible")).help("name what they are in");
    }
    let mut paths = Vec::new();
    for item in items {
        let Some(written) = text(item, &mut reading.report) else { continue };
        let names: Vec<String> = written.split('.').map(str::to_owned).collect();
        let first = names.first().map(String::as_str).unwrap_or_default();
        if names.iter().any(|name| name.is_empty() || name.contains(['[', ']', '$', '{', '*'])) {
            let message = "a path has names with dots between them; lists are passed through";
            wrong(&mut reading.report, item, message).help(EXAMPLE);
        } else if names.len() > 1 && ROOTS.contains(&first) {
            let message = format!("a path is looked for in every payload, so it does not begin with `{first}`");
            let rest = if first == "steps" { names.last().cloned() } else { names.get(1..).map(|rest| rest.join(".")) };
            let help = format!("write `{}`", rest.unwrap_or_default());
            wrong(&mut reading.report, item, &message).help(help);
        } else {
            paths.push(names);
        }
    }
    SensitivePaths::new(paths)
}

/// Tags are seen by who sees traces, and the business key stands in every list. A path is the address of a request,
/// which everybody is told who sees the saga. `before`: the number of expressions
/// before those of the tags.
pub(super) fn refuse_in_the_open(before: usize, paths: &SensitivePaths, reading: &mut ParseContext) {
    let mut open = Vec::new();
    for (position, used) in reading.uses.iter().enumerate() {
        let what = match used.at.place {
            ExpressionPlace::Key => "the business key",
            _ if position >= before => "a tag",
            _ if used.at.takes == AcceptedValues::Path => "the path of a request",
            _ => continue,
        };
        open.extend(sensitive_read(&used.expression, paths).map(|path| (used.span, what, path)));
    }
    for (span, what, path) in open {
        let message = format!("{what} shows `{path}`, which is sensitive");
        let help = "choose another value, or leave the path out of `sensitive`";
        reading.report.error(Code::WrongValue, span, message).help(help);
    }
}

fn sensitive_read(expression: &CelExpression, paths: &SensitivePaths) -> Option<String> {
    expression.reads().iter().find_map(|read| paths.read_by(&read.path))
}

#[cfg(test)]
mod tests {
    use crate::definition::{RenderStyle, parse, render};

    fn read(sensitive: &str, tag: &str) -> Result<(), String> {
        let text = format!(
            "saga: a\ntrigger: {{topic: t, key: \"${{ event.id }}\"}}\nsensitive: {sensitive}\n\
             tags: {{a: \"${{ {tag} }}\"}}\nsteps:\n  - {{step: tell, do: p.Tell, readOnly: true}}\n"
        );
        let parsed = parse("a.saga.yaml", &text, None, None);
        parsed.map(drop).map_err(|findings| render(&findings, RenderStyle::Plain))
    }

    #[test]
    fn paths_of_names_are_taken() {
        assert_eq!(read("[iban, card.number]", "event.tenant"), Ok(()));
        assert_eq!(read("[]", "event.iban"), Ok(()));
    }

    #[test]
    fn a_path_shows_what_it_has() {
        let text = "saga: a\ntrigger: {topic: t, key: \"${ event.id }\"}\nsensitive: [iban]\nsteps:\n  - {step: ask, \
                    do: \"GET shop/accounts/${ event.iban }\"}\n";
        let told = parse("a.saga.yaml", text, None, None).map(drop).expect_err("the path is shown");
        let told = render(&told, RenderStyle::Plain);
        assert!(told.contains("the path of a request shows `iban`"), "{told}");
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_what_to_write() {
        for (sensitive, tag, said) in [
            ("iban", "event.a", "must be a list of paths"),
            ("[event.card]", "event.a", "write `card`"),
            ("[steps.charge.result.token]", "event.a", "write `token`"),
            ("[\"a[0]\"]", "event.a", "names with dots"),
            ("[a..b]", "event.a", "names with dots"),
            ("[iban]", "event.customer.iban", "a tag shows `iban`, which is sensitive"),
            ("[card]", "event.card.number", "a tag shows `card`"),
            ("[id]", "event.a", "the business key shows `id`"),
        ] {
            let told = read(sensitive, tag).expect_err(said);
            assert!(told.contains(said), "{told}");
        }
    }
}
