//! `tags:`, what a trace says of a saga in the team's words.

use super::{
    fields::{MapReader, wrong},
    tree::YamlValue,
    uses::{ExpressionPlace, ParseContext},
    values,
};
use crate::expression::ValueTemplate;

/// The most tags of a definition: a span has room for 128 attributes, and most tools show a screenful.
const MOST: usize = 16;
/// The longest name, in bytes.
const NAME_BYTES: usize = 64;

/// The tags by their names, in the order of the file.
pub(super) fn read(fields: &MapReader<'_>, reading: &mut ParseContext) -> Vec<(String, ValueTemplate)> {
    let Some(node) = fields.node("tags") else { return Vec::new() };
    let YamlValue::Map(entries) = &node.value else {
        wrong(&mut reading.report, node, "`tags` must be a map of names and values").help(EXAMPLE);
        return Vec::new();
    };
    if entries.len() > MOST {
        let message = format!("at most {MOST} tags are possible");
        wrong(&mut reading.report, node, &message).help("leave out those that nobody searches by");
    }
    let mut tags = Vec::new();
    for (name, value) in entries {
        if !is_name(&name.text) {
            let message = format!("the name of a tag has 1 to {NAME_BYTES} of a-z, A-Z, 0-9, `.`, `_` and `-`");
            wrong(&mut reading.report, value, &message).help(EXAMPLE);
        }
        if matches!(value.value, YamlValue::Map(_) | YamlValue::List(_)) {
            wrong(&mut reading.report, value, "a tag must be one value").help(EXAMPLE);
            continue;
        }
        let template = values::template(value, ExpressionPlace::Output.anything(), reading);
        tags.extend(template.map(|template| (name.text.clone(), template)));
    }
    tags
}

const EXAMPLE: &str = "for example: tags: {tenant: \"${ event.tenant }\"}";

fn is_name(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=NAME_BYTES).contains(&text.len()) && text.bytes().all(is_of_name)
}

#[cfg(test)]
mod tests {
    use crate::definition::{RenderStyle, parse, render};

    fn read(tags: &str) -> Result<Vec<String>, String> {
        let text = format!(
            "saga: a\ntrigger: {{topic: t, key: \"${{ event.id }}\"}}\ntags: {tags}\nsteps:\n  - {{step: tell, do: p.Tell, \
             readOnly: true}}\n"
        );
        let parsed = parse("a.saga.yaml", &text, None, None);
        let parsed = parsed.map_err(|findings| render(&findings, RenderStyle::Plain))?;
        Ok(parsed.definition.tags.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn tags_have_the_order_of_the_file() {
        let tags = read("{tenant: \"${ event.tenant }\", plan: gold, size: 7}");
        assert_eq!(tags, Ok(vec!["tenant".to_owned(), "plan".to_owned(), "size".to_owned()]));
    }

    #[test]
    fn what_is_no_tag_is_told_with_an_example() {
        let many: Vec<String> = (0..17).map(|number| format!("t{number}: 1")).collect();
        for (tags, expected) in [
            ("[a]".to_owned(), "`tags` must be a map of names and values"),
            ("{a: {b: 1}}".to_owned(), "a tag must be one value"),
            ("{\"a b\": 1}".to_owned(), "the name of a tag has 1 to 64"),
            (format!("{{{}}}", many.join(", ")), "at most 16 tags are possible"),
            ("{a: \"${ nothing }\"}".to_owned(), "nothing"),
        ] {
            let error = read(&tags).expect_err(&tags);
            assert!(error.contains(expected), "{error}");
        }
    }
}
