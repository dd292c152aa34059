//! Where something stands in a file that has been read already.

use super::{
    diagnostic::{FindingCollector, position},
    tree::{self, YamlNode, YamlValue},
};

/// The line, from 1, of the key at the end of `path` in a YAML text; `None`: the text does not have it. A list is
/// entered by the `step` of an item, also of one in a block below `parallel`.
#[must_use]
pub fn line_of(text: &str, path: &[&str]) -> Option<usize> {
    let root = tree::read(&mut FindingCollector::new("", text))?;
    start_of(&root, path).map(|start| position(text, start).line)
}

fn start_of(node: &YamlNode, path: &[&str]) -> Option<usize> {
    let (name, rest) = path.split_first()?;
    match &node.value {
        YamlValue::Map(entries) => {
            let (key, value) = entries.iter().find(|(key, _)| key.text == *name)?;
            if rest.is_empty() { Some(key.span.start) } else { start_of(value, rest) }
        }
        YamlValue::List(items) => items.iter().find_map(|item| start_in_item(item, path)),
        YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Float(_)
        | YamlValue::Text(_) => None,
    }
}

fn start_in_item(item: &YamlNode, path: &[&str]) -> Option<usize> {
    let YamlValue::Map(entries) = &item.value else { return None };
    let value_of = |name: &str| entries.iter().find(|(key, _)| key.text == name).map(|(_, value)| value);
    if let Some(block) = value_of("parallel") {
        return start_of(block, path);
    }
    let (step, rest) = path.split_first()?;
    let is_it = value_of("step").is_some_and(|name| name.value == YamlValue::Text((*step).to_owned()));
    match (is_it, rest.is_empty()) {
        (false, _) => None,
        (true, true) => Some(item.span.start),
        (true, false) => start_of(item, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "saga: order
steps:
  - step: reserve
    retry: {attempts: 3}
  - parallel:
      - step: charge
        undo:
          do: POST payments/refunds
          attemptTimeout: 4s
";

    #[test]
    fn keys_are_found_by_the_names_of_steps() {
        let found = |path: &[&str]| line_of(TEXT, path);
        assert_eq!(found(&["saga"]), Some(1));
        assert_eq!(found(&["steps", "reserve", "retry"]), Some(4));
        assert_eq!(found(&["steps", "charge", "undo", "attemptTimeout"]), Some(9));
        assert_eq!(found(&["steps", "charge"]), Some(6));
        assert_eq!([found(&["steps", "charge", "retry"]), found(&["timeout"]), found(&[])], [None; 3]);
        assert_eq!(line_of("a: [", &["a"]), None);
    }
}
