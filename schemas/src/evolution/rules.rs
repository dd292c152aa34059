//! Which of the earlier schemas count, and in which direction.

use super::finding::{EvolutionBreak, PlainBreak, ReadDirection};
use std::str::FromStr;

/// What has to hold when a schema follows others. The names are those of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompatibilityRule {
    /// Anything may follow.
    None,
    /// The next reads the last.
    Backward,
    /// The next reads all earlier ones.
    BackwardTransitive,
    /// The last reads the next.
    Forward,
    /// All earlier ones read the next.
    ForwardTransitive,
    /// Both, of the last.
    Full,
    /// Both, of all earlier ones.
    FullTransitive,
}

const NAMES: [(CompatibilityRule, &str); 7] = [
    (CompatibilityRule::None, "NONE"),
    (CompatibilityRule::Backward, "BACKWARD"),
    (CompatibilityRule::BackwardTransitive, "BACKWARD_TRANSITIVE"),
    (CompatibilityRule::Forward, "FORWARD"),
    (CompatibilityRule::ForwardTransitive, "FORWARD_TRANSITIVE"),
    (CompatibilityRule::Full, "FULL"),
    (CompatibilityRule::FullTransitive, "FULL_TRANSITIVE"),
];

impl CompatibilityRule {
    /// The name of the rule, as registries write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        NAMES.iter().find(|(rule, _)| *rule == self).map_or("NONE", |(_, name)| name)
    }

    /// Whether all earlier schemas count, and not the last alone.
    #[must_use]
    pub fn is_transitive(self) -> bool {
        match self {
            CompatibilityRule::None
            | CompatibilityRule::Backward
            | CompatibilityRule::Forward
            | CompatibilityRule::Full => false,
            CompatibilityRule::BackwardTransitive
            | CompatibilityRule::ForwardTransitive
            | CompatibilityRule::FullTransitive => true,
        }
    }

    fn directions(self) -> &'static [ReadDirection] {
        match self {
            CompatibilityRule::None => &[],
            CompatibilityRule::Backward | CompatibilityRule::BackwardTransitive => &[ReadDirection::Backward],
            CompatibilityRule::Forward | CompatibilityRule::ForwardTransitive => &[ReadDirection::Forward],
            CompatibilityRule::Full | CompatibilityRule::FullTransitive => {
                &[ReadDirection::Backward, ReadDirection::Forward]
            }
        }
    }

    /// How many of the earlier ones do not count.
    fn skipped(self, earlier: usize) -> usize {
        if self.is_transitive() { 0 } else { earlier.saturating_sub(1) }
    }
}

impl FromStr for CompatibilityRule {
    type Err = String;

    /// As registries write it, in capital or small letters, with `_` or `-`.
    fn from_str(text: &str) -> Result<CompatibilityRule, String> {
        let name = text.to_ascii_uppercase().replace('-', "_");
        let known = NAMES.iter().find(|(_, known)| *known == name).map(|(rule, _)| *rule);
        let names = || NAMES.map(|(_, name)| name.to_ascii_lowercase()).join(", ");
        known.ok_or_else(|| format!("`{text}` is no compatibility rule; write one of {}", names()))
    }
}

/// `breaks` has the reader first.
pub(super) fn compare<S>(
    rule: CompatibilityRule,
    next: &S,
    earlier: &[S],
    breaks: impl Fn(&S, &S) -> Vec<PlainBreak>,
) -> Vec<EvolutionBreak> {
    let mut found = Vec::new();
    for (at, schema) in earlier.iter().enumerate().skip(rule.skipped(earlier.len())) {
        for direction in rule.directions() {
            let plain = match direction {
                ReadDirection::Backward => breaks(next, schema),
                ReadDirection::Forward => breaks(schema, next),
            };
            found.extend(plain.into_iter().map(|it| it.placed(*direction, at)));
        }
    }
    found
}
