//! Acts as lines of JSON that are chained: each line has the SHA-256 of the line before, and the last one says how many
//! there are. A line that was changed, removed, added or moved breaks the chain. Whoever can write the whole file can
//! also make a new chain: so the hash of the last line is to be kept elsewhere.

use super::{AuditEntry, AuditPlace};
use saga_core::digest::hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What the first line has in place of a hash.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Serialize)]
struct EntryLine<'a> {
    previous: &'a str,
    entry: &'a AuditEntry,
}

#[derive(Serialize)]
struct EndLine<'a> {
    previous: &'a str,
    end: ChainEnd,
}

/// What the last line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChainEnd {
    entries: u64,
    /// The place after which older acts are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Makes the lines of an export.
#[derive(Clone, Debug)]
pub struct AuditChain {
    last: String,
    entries: u64,
}

impl Default for AuditChain {
    fn default() -> AuditChain {
        AuditChain { last: NOTHING.to_owned(), entries: 0 }
    }
}

impl AuditChain {
    /// The line of the next act.
    pub fn line(&mut self, entry: &AuditEntry) -> String {
        self.entries += 1;
        let line = serde_json::to_string(&EntryLine { previous: &self.last, entry });
        self.linked(line.expect("an entry has only texts as names"))
    }

    /// The last line; `next`: there are older acts.
    pub fn end(&mut self, next: Option<&AuditPlace>) -> String {
        let end = ChainEnd { entries: self.entries, next: next.map(ToString::to_string) };
        let line = serde_json::to_string(&EndLine { previous: &self.last, end });
        self.linked(line.expect("an end has only texts as names"))
    }

    /// The SHA-256 of the last line.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.last
    }

    fn linked(&mut self, mut line: String) -> String {
        self.last = hash_of(&line);
        line.push('\n');
        line
    }
}

fn hash_of(line: &str) -> String {
    hex(&Sha256::digest(line.as_bytes()))
}

/// An export is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditChainError {
    /// A line is none of an export.
    #[error("line {0} is no line of an export of the audit")]
    Foreign(u64),
    /// The line before was changed, or lines are missing, added or moved.
    #[error(
        "line {line} names {named} as the SHA-256 of the line before, which is {found}: lines were changed, removed, \
         added or moved"
    )]
    Broken {
        /// The number of the line, from 1.
        line: u64,
        /// What it says.
        named: String,
        /// What it should say.
        found: String,
    },
    /// There are lines after the last one.
    #[error("line {0} comes after the end of the export")]
    AfterEnd(u64),
    /// The last line is missing.
    #[error("the export ends after {0} acts without its last line: lines are missing")]
    NoEnd(u64),
    /// The last line counts other acts.
    #[error("the export has {found} acts, and its last line says {said}")]
    Count {
        /// What the last line says.
        said: u64,
        /// What there is.
        found: u64,
    },
}

/// Reads an export again, line by line.
#[derive(Debug, Default)]
pub struct AuditChainCheck {
    chain: AuditChain,
    lines: u64,
    end: Option<ChainEnd>,
}

impl AuditChainCheck {
    /// The next line, without its line break.
    ///
    /// # Errors
    /// It does not continue the chain.
    pub fn line(&mut self, line: &str) -> Result<(), AuditChainError> {
        self.lines += 1;
        if self.end.is_some() {
            return Err(AuditChainError::AfterEnd(self.lines));
        }
        let foreign = || AuditChainError::Foreign(self.lines);
        let read: Value = serde_json::from_str(line).map_err(|_| foreign())?;
        let named = read.get("previous").and_then(Value::as_str).ok_or_else(foreign)?;
        if named != self.chain.last {
            let (named, found) = (named.to_owned(), self.chain.last.clone());
            return Err(AuditChainError::Broken { line: self.lines, named, found });
        }
        match (read.get("entry"), read.get("end")) {
            (Some(Value::Object(_)), None) => self.chain.entries += 1,
            (None, Some(end)) => self.end = Some(serde_json::from_value(end.clone()).map_err(|_| foreign())?),
            (_, _) => return Err(foreign()),
        }
        self.chain.last = hash_of(line);
        Ok(())
    }

    /// How many acts there are, the SHA-256 of the last line, and where older acts continue that are not in the export.
    ///
    /// # Errors
    /// The end is missing, or counts otherwise.
    pub fn finish(self) -> Result<(u64, String, Option<String>), AuditChainError> {
        let found = self.chain.entries;
        match self.end {
            None => Err(AuditChainError::NoEnd(found)),
            Some(end) if end.entries != found => Err(AuditChainError::Count { said: end.entries, found }),
            Some(end) => Ok((found, self.chain.last, end.next)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::AuditTarget, *};
    use saga_core::act_author::ActOrigin;

    fn entry(number: u32) -> AuditEntry {
        AuditEntry {
            at: "2026-11-21T09:38:59.086Z".into(),
            who: "anna".into(),
            action: "retry".into(),
            reason: format!("reason {number}\nof two lines"),
            on: AuditTarget::Participant { name: "payments".into() },
            id: number.to_string(),
            origin: ActOrigin::default(),
            before: Value::Null,
            after: Value::Null,
        }
    }

    fn export() -> Vec<String> {
        let mut chain = AuditChain::default();
        let lines = [chain.line(&entry(1)), chain.line(&entry(2)), chain.line(&entry(3)), chain.end(None)];
        lines.iter().map(|line| line.trim_end_matches('\n').to_owned()).collect()
    }

    fn checked(lines: &[String]) -> Result<(u64, String, Option<String>), AuditChainError> {
        let mut check = AuditChainCheck::default();
        lines.iter().try_for_each(|line| check.line(line))?;
        check.finish()
    }

    #[test]
    fn what_was_written_is_whole() {
        let lines = export();
        assert_eq!(checked(&lines), Ok((3, hash_of(&lines[3]), None)));
        assert!(lines.iter().all(|line| !line.contains('\n')), "a line is a line");
        let mut chain = AuditChain::default();
        assert_eq!(checked(&[chain.end(None).trim_end().to_owned()]).map(|(acts, ..)| acts), Ok(0));
    }

    #[test]
    fn whatever_is_done_to_a_line_breaks_the_chain() {
        let whole = export();
        let changed = |at: usize| {
            let mut lines = export();
            lines[at] = lines[at].replace("anna", "bea").replace("\"entries\":3", "\"entries\":4");
            lines
        };
        for at in 0..3 {
            assert!(matches!(checked(&changed(at)), Err(AuditChainError::Broken { .. })), "line {at} was changed");
        }
        assert_eq!(checked(&changed(3)), Err(AuditChainError::Count { said: 4, found: 3 }));
        for (at, line) in whole.iter().enumerate().take(3) {
            let mut lines = export();
            lines.remove(at);
            assert!(matches!(checked(&lines), Err(AuditChainError::Broken { .. })), "line {at} was removed");
            lines.insert(at, line.clone());
            lines.insert(at, line.clone());
            assert!(matches!(checked(&lines), Err(AuditChainError::Broken { .. })), "line {at} is there twice");
        }
        let mut moved = export();
        moved.swap(0, 1);
        assert!(matches!(checked(&moved), Err(AuditChainError::Broken { line: 1, .. })));
        assert_eq!(checked(&whole[..3]), Err(AuditChainError::NoEnd(3)));
        assert_eq!(checked(&[&whole[..], &whole[..1]].concat()), Err(AuditChainError::AfterEnd(5)));
        assert_eq!(checked(&["no JSON".to_owned()]), Err(AuditChainError::Foreign(1)));
        assert!(checked(&["{\"previous\":\"x\"}".to_owned()]).is_err());
    }
}
