//! What the codes of poison mean, for a person who has a dead letter in hand. The table of poison codes in
//! docs/errors.md has the same texts, and a test compares them.

use super::PoisonCode;

impl PoisonCode {
    /// What a record with this code is, as a clause about the record.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            PoisonCode::Avro => {
                "its frame is cut off, or its bytes are not what the Avro schema says that it names; the \
                 message has the path, the byte after the frame and what was expected"
            }
            PoisonCode::WrongFormat => {
                "its topic has one format (`topics.formats`), and the record is in another one; the message says in \
                 which"
            }
            PoisonCode::UnknownSchema => {
                "nobody knows the schema that its value names: the registry does not have it, no file in \
                 the folder of schemas has the fingerprint, or no registry is configured"
            }
            PoisonCode::SchemaMismatch => {
                "the registry has the schema, and it cannot be used: it is not Avro (Protobuf, JSON \
                 Schema), or beyond a bound"
            }
            PoisonCode::NoType => {
                "it has no type, and every trigger of its topic requires one; the message names a header \
                that looks like one, or what the value is"
            }
            PoisonCode::NotJson => {
                "its value is not JSON, and not Avro either; the message says what it is, if that is known: UTF-16, \
                 compressed, XML"
            }
            PoisonCode::Batch => "it is a batch of CloudEvents, and a record is one event",
            PoisonCode::Nul => "a string in it contains NUL, which no database takes",
            PoisonCode::Depth => "its content nests deeper than 64 levels; the message says how deep",
            PoisonCode::Number => "a number in it has more than 128 characters, or an exponent beyond ±9999",
            PoisonCode::RepeatedName => "one object in it has a name twice: readers differ in which value counts",
            PoisonCode::ReservedName => {
                "a name in it begins with `$serde_json::private::`, which the JSON library reserves"
            }
            PoisonCode::Oversize => {
                "key, value and headers together are larger than 1 MiB, of a record in Avro with its JSON; the dead letter is a \
                 pointer"
            }
            PoisonCode::Schema => {
                "it does not match the JSON Schema of its type; the message says where, and what was \
                expected"
            }
            PoisonCode::When => {
                "the definition's `when` has no value for it: a field is missing, types do not fit. The \
                message says if the event is JSON in a string, a list, or an envelope of Kafka Connect \
                or Debezium"
            }
            PoisonCode::Key => {
                "`key` has no value, or a value that is no string, boolean or integer (`1.0`, `1e3` and \
                `-0` are none) of 1 to 256 bytes"
            }
            PoisonCode::NoCommand => {
                "`idempotency_key` is missing or unreadable, or `ce_correlationid` names another saga"
            }
            PoisonCode::Outcome => "`saga_outcome` is missing, or not `succeeded`, `failed` or `ongoing`",
            PoisonCode::Header => {
                "an important header cannot be read: no UTF-8, no value, different values under one name; \
                `saga_attempt` is not a number from 1, `error_retryable` not `true` or `false`; of a \
                trigger `ce_type` or `content-type`, or an envelope's `type`"
            }
            PoisonCode::Inbox => "no engine wrote it, or an engine that does not fit this one",
            PoisonCode::UnknownSaga => "the saga that it names does not exist here",
            PoisonCode::UnknownDefinition => "the trigger was forwarded for a definition that is unknown here",
            PoisonCode::UnknownStep => "it names a step that the saga's definition does not have",
            PoisonCode::Contradiction => {
                "it refuses an attempt for good that its participant has said to be done; the saga has believed the first \
                 reply"
            }
            PoisonCode::IllegalInput => "it does not fit the saga's state in a way that no rule covers",
            PoisonCode::Crash => {
                "the engine panicked while it decided about the record: a bug. A saga that it was for is parked where its \
                 journal ends"
            }
            PoisonCode::StoreRefused => {
                "the database refuses what it leads to (too large, a value that no column takes)"
            }
            PoisonCode::SagaUnreadable => "its saga cannot be read",
        }
    }

    /// What an operator or the owner of the producer does about it.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            PoisonCode::Avro => "correct the producer: it writes another schema's bytes, or a frame twice",
            PoisonCode::WrongFormat => {
                "let the producer write the format of the topic, or take the topic out of `topics.formats`: then both are \
                 read"
            }
            PoisonCode::UnknownSchema => {
                "set `schemaRegistry`, or let the producer use the same registry; for single-object \
                 encoding add the `*.avsc` on all engines; then produce the record again"
            }
            PoisonCode::SchemaMismatch => "let the producer write Avro or plain JSON",
            PoisonCode::NoType => "let the producer set the header `ce_type`, or remove `type` from the trigger",
            PoisonCode::NotJson => "correct the producer",
            PoisonCode::Batch => "let the producer send each event separately",
            PoisonCode::Nul => "correct the producer",
            PoisonCode::Depth => "publish flatter events, or the deep part as a string",
            PoisonCode::Number => "send it as a string",
            PoisonCode::RepeatedName => "correct the producer",
            PoisonCode::ReservedName => "rename the field",
            PoisonCode::Oversize => "publish a reference instead",
            PoisonCode::Schema => "correct the producer, or the schema",
            PoisonCode::When => "guard the expression with `has(…)`, or correct the event",
            PoisonCode::Key => "guard the expression with `has(…)`, or correct the event",
            PoisonCode::NoCommand => "copy both headers from the command",
            PoisonCode::Outcome => "correct the participant",
            PoisonCode::Header => "correct the producer or participant",
            PoisonCode::Inbox => "find the other program that writes to the inbox",
            PoisonCode::UnknownSaga => "wrong topic, another installation, or a restored backup",
            PoisonCode::UnknownDefinition => "give all engines the same definitions",
            PoisonCode::UnknownStep => "copy `idempotency_key` unchanged",
            PoisonCode::Contradiction => {
                "find out at the participant which reply is true; if nothing was done, cancel the saga or do the step by \
                 hand; then discard the letter"
            }
            PoisonCode::IllegalInput => "report it with the saga's history",
            PoisonCode::Crash => {
                "report it with the record and the message of the panic; after an update of the engines bring the record \
                 back, and retry the saga"
            }
            PoisonCode::StoreRefused => "the log has the database's message",
            PoisonCode::SagaUnreadable => {
                "the remedy that the reason names; until then the saga is shown as parked with the \
                reason, and `abandon` ends it"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cell of the table without its links: `[text](page)` is `text`.
    fn plain(cell: &str) -> String {
        let mut parts = cell.split('[');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            match part.split_once("](").and_then(|(name, rest)| Some((name, rest.split_once(')')?))) {
                Some((name, (_, rest))) => text + name + rest,
                None => text + "[" + part,
            }
        })
    }

    #[test]
    fn the_page_of_errors_says_the_same_of_each_code() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        let page = std::fs::read_to_string(page).expect("the page is in the repository");
        for code in PoisonCode::ALL {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{code}` | ")));
            let row = row.unwrap_or_else(|| panic!("docs/errors.md has no row of {code}"));
            let cells: Vec<String> = row.trim_matches('|').split(" | ").map(|cell| plain(cell.trim())).collect();
            assert_eq!((&*cells[2], &*cells[3]), (code.meaning(), code.remedy()), "the row of {code}");
        }
    }
}
