//! Which chain of participants that need each other takes longest.

use super::{ParticipantCatalog, ParticipantConfig};
use std::{collections::BTreeMap, fmt, time::Duration};

/// What the critical path needs to know of one participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DependencyNode<'a> {
    /// Attempt timeout of the participant itself, without those that it needs.
    pub timeout: Duration,
    /// Names of the participants that this one needs.
    pub depends_on: &'a [String],
}

/// A chain of participants, each of which needs the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// The participants' names; each needs the one after it.
    pub names: Vec<String>,
    /// Sum of the attempt timeouts of all participants in the chain.
    pub total: Duration,
}

impl fmt::Display for CriticalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = crate::definition::duration::text(self.total);
        write!(f, "critical path: {} ({total})", self.names.join(" → "))
    }
}

impl DependencyNode<'_> {
    fn of(participant: &ParticipantConfig) -> DependencyNode<'_> {
        DependencyNode { timeout: participant.timeout, depends_on: &participant.depends_on }
    }
}

impl CriticalPath {
    /// The chain among `all`, by name, with the largest sum of attempt timeouts: the maximum time of an answer of its
    /// first participant if each participant waits for those that it needs. `None` if no participant needs another. Of
    /// equally long chains the one whose names come first.
    #[must_use]
    pub fn of(all: &BTreeMap<&str, DependencyNode<'_>>) -> Option<CriticalPath> {
        let mut known = BTreeMap::new();
        let needy = all.iter().filter(|(_, needs)| !needs.depends_on.is_empty());
        let paths = needy.map(|(name, _)| longest_from(all, name, &mut known));
        paths.reduce(longer)
    }
}

impl ParticipantCatalog {
    /// As [`CriticalPath::of`], of all participants of the file.
    #[must_use]
    pub fn critical_path(&self) -> Option<CriticalPath> {
        CriticalPath::of(&self.iter().map(|(name, it)| (name, DependencyNode::of(it))).collect())
    }
}

/// Each participant is looked at once. Circles are refused where the file is read; one would count as long as it is
/// found.
fn longest_from<'a>(
    all: &BTreeMap<&'a str, DependencyNode<'a>>,
    name: &'a str,
    known: &mut BTreeMap<&'a str, CriticalPath>,
) -> CriticalPath {
    if let Some(path) = known.get(name) {
        return path.clone();
    }
    let Some(participant) = all.get(name) else { return CriticalPath::default() };
    known.insert(name, CriticalPath::default());
    let needed = participant.depends_on.iter().map(|next| longest_from(all, next, known));
    let mut path = needed.reduce(longer).unwrap_or_default();
    path.names.insert(0, name.to_owned());
    path.total = path.total.saturating_add(participant.timeout);
    known.insert(name, path.clone());
    path
}

fn longer(one: CriticalPath, other: CriticalPath) -> CriticalPath {
    if other.total > one.total { other } else { one }
}

#[cfg(test)]
mod tests {
    use crate::definition::participants::parse;

    fn path(text: &str) -> Option<String> {
        let participants = parse("participants.yaml", text, &|_| None).expect("participants that hold");
        participants.critical_path().map(|path| path.to_string())
    }

    #[test]
    fn it_is_the_chain_whose_timeouts_add_up_to_most() {
        let text = "
participants:
  web: {http: {url: 'http://web'}, timeout: 10s, dependsOn: [payments, cache]}
  payments: {http: {url: 'http://payments'}, timeout: 5s, dependsOn: [database]}
  database: {kafka: {commands: database}, timeout: 30s}
  cache: {http: {url: 'http://cache'}, timeout: 34s}
";
        assert_eq!(path(text).as_deref(), Some("critical path: web → payments → database (45s)"));
    }

    #[test]
    fn there_is_none_where_nobody_needs_anybody() {
        assert_eq!(path("participants: {web: {http: {url: 'http://web'}}}"), None);
    }
}
