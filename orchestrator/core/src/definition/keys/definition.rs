//! The keys of a saga definition.

use super::{FALLBACK, KeyRule, MapSchema, ValueRule, key, required};

const DURATION: ValueRule = ValueRule::Duration;
const STEP_NAME: ValueRule = ValueRule::Pattern("^[a-z][A-Za-z0-9_]{0,63}$");
const SAGA_NAME: ValueRule = ValueRule::Pattern("^[A-Za-z][A-Za-z0-9._-]{0,127}$");

pub(crate) static DEFINITION: MapSchema = MapSchema {
    name: "a saga definition",
    title: "Saga definition",
    keys: &[
        key("$schema", ValueRule::Text, "Read by editors, ignored otherwise.", "", "\"../schemas/saga.schema.json\""),
        required(
            "saga",
            SAGA_NAME,
            "Name of the saga. With the file's content it identifies the definition.",
            "\"order-fulfillment\"",
        ),
        key(
            "description",
            ValueRule::Text,
            "What it achieves, for people.",
            "",
            "\"Reserve stock, charge the card, ship the parcel; or undo all of it.\"",
        ),
        required(
            "trigger",
            ValueRule::Shape(&TRIGGER),
            "The event that starts a saga.",
            "{\"topic\": \"shop.orders\", \"type\": \"OrderPlaced\", \"key\": \"${ event.orderId }\"}",
        ),
        key(
            "timeout",
            DURATION,
            "For the whole saga, from its start. On expiry it compensates before the pivot, and is marked overdue \
                after it. None by default.",
            "",
            "\"15m\"",
        ),
        key(
            "retry",
            RETRY_RULE,
            "Retries of every step that has none of its own; a preset or its parts. Undos have their own.",
            "\"standard\"",
            "{\"attempts\": 3, \"delay\": \"1s\"}",
        ),
        key(
            "onOutage",
            ON_OUTAGE,
            "Whether the times of the saga and of its steps run on while no answer could be read (no engine ran, \
                Kafka or the event store was away): `extend` makes them stand still, `count` lets them run. Steps may \
                override it.",
            "\"extend\"",
            "\"count\"",
        ),
        key(
            "onExhausted",
            ON_EXHAUSTED,
            "When a step's retries are used up: compensate, or park and wait for an operator. Steps may override it.",
            "\"compensate\"",
            "\"park\"",
        ),
        key(
            "retention",
            RETENTION_RULE,
            "How long a saga stays in the event store after it has ended, and where it goes then. For ever by default. \
                The text that is current decides, also about sagas of earlier texts.",
            "",
            "\"90d\"",
        ),
        required(
            "steps",
            ValueRule::Some(&STEP),
            "What is done. A step follows the item before it, unless it has `after`.",
            "[{\"step\": \"charge\", \"do\": \"POST payments/charges\", \"undo\": \"POST payments/refunds\"}]",
        ),
        key(
            "output",
            ValueRule::Value,
            "Result of the saga, in its outcome event and in the API.",
            "null",
            "{\"chargeId\": \"${ steps.charge.chargeId }\"}",
        ),
        key(
            "tags",
            ValueRule::Entries(&ValueRule::Scalar),
            "What its traces say of a saga in your words: at most 16 values by name. One that has no value when the \
                saga ends is left out.",
            "",
            "{\"tenant\": \"${ event.tenant }\"}",
        ),
        key(
            "sensitive",
            ValueRule::List(&ValueRule::Text),
            "Members of payloads that are shown as masks, wherever they occur: names with dots between them. Lists on \
                the way are passed through.",
            "",
            "[\"iban\", \"card.number\"]",
        ),
        key(
            "onCompleted",
            ValueRule::Shape(&OUTCOME),
            "Published when the saga completed.",
            "",
            "{\"publish\": \"shop.orders\", \"type\": \"OrderFulfilled\"}",
        ),
        key(
            "onCompensated",
            ValueRule::Shape(&OUTCOME),
            "Published when the saga was undone.",
            "",
            "{\"publish\": \"shop.orders\", \"type\": \"OrderRejected\"}",
        ),
    ],
};

const RETENTION_RULE: ValueRule = ValueRule::Either(&[ValueRule::Duration, ValueRule::Shape(&RETENTION)]);
const RETRY_RULE: ValueRule = ValueRule::Either(&[ValueRule::Choice(super::PRESETS), ValueRule::Shape(&RETRY)]);
const ON_OUTAGE: ValueRule = ValueRule::Choice(&["extend", "count"]);
const REPLAYED: ValueRule = ValueRule::Choice(&["ignore", "accept"]);
const ON_EXHAUSTED: ValueRule = ValueRule::Choice(&["compensate", "park"]);
const STEP: ValueRule =
    ValueRule::Kinds(&[("do", &CALL), ("wait", &WAIT), ("publish", &PUBLISH), ("parallel", &PARALLEL)]);
const PARALLEL_STEP: ValueRule = ValueRule::Kinds(&[("do", &CALL), ("wait", &WAIT), ("publish", &PUBLISH)]);
const TOPIC: ValueRule = ValueRule::Pattern("^[A-Za-z0-9._-]{1,249}$");

pub(crate) static RETENTION: MapSchema = MapSchema {
    name: "a retention",
    title: "Retention",
    keys: &[
        required("after", DURATION, "How long after its last change an ended saga leaves the event store.", "\"90d\""),
        key(
            "to",
            ValueRule::Choice(&["archive", "drop"]),
            "Where it goes: to an archive file, or nowhere.",
            "\"archive\"",
            "\"drop\"",
        ),
    ],
};

pub(crate) static TRIGGER: MapSchema = MapSchema {
    name: "a trigger",
    title: "Trigger",
    keys: &[
        required("topic", TOPIC, "Kafka topic to read.", "\"shop.orders\""),
        key(
            "type",
            ValueRule::Text,
            "Type of the event: header `ce_type`, `type` of a CloudEvent, or name of the Avro record. Without it \
                every event of the topic is tried.",
            "",
            "\"OrderPlaced\"",
        ),
        key(
            "when",
            ValueRule::Condition,
            "Which events start a saga. Sees `event` and `record`.",
            "true",
            "\"event.amountCents > 0\"",
        ),
        required(
            "key",
            ValueRule::Either(&[ValueRule::Parts, ValueRule::Expressed]),
            "Business key, 1 to 256 bytes: the same key never starts the saga twice. A list of 2 to 16 values makes a \
                key that no other values make.",
            "\"${ event.orderId }\"",
        ),
        key(
            "from",
            ValueRule::Text,
            "Where the definition begins in its topic: `earliest`, `latest`, or a time. Without it: `earliest`; of a \
                topic that is read already, where reading has got to.",
            "",
            "\"2026-01-01T00:00:00Z\"",
        ),
        key(
            "replayed",
            REPLAYED,
            "What a record does that `saga replay publish` sent: `ignore`, or `accept`, which starts sagas like any \
                other.",
            "\"ignore\"",
            "\"accept\"",
        ),
        key("keepKeys", DURATION, "How long a key stays in use. Forever by default.", "", "\"90d\""),
    ],
};

const NAME: KeyRule =
    required("step", STEP_NAME, "Name of the step; expressions read its result as `steps.<name>`.", "\"reserve\"");
const AFTER: KeyRule = key(
    "after",
    ValueRule::List(&STEP_NAME),
    "Steps that have to be settled first, in place of the item above. `[]` starts at once.",
    "",
    "[\"reserve\"]",
);
const IF: KeyRule = key(
    "if",
    ValueRule::Condition,
    "If it is false, the step is skipped and the saga goes on.",
    "true",
    "\"!event.digital\"",
);
const OPTIONAL: KeyRule =
    key("optional", ValueRule::Bool, "Its failure is recorded and the saga goes on.", "false", "true");
const PIVOT: KeyRule = key(
    "pivot",
    ValueRule::Bool,
    "Once it succeeded, or was skipped, the saga only goes forward: later steps are retried, nothing is undone.",
    "false",
    "true",
);
const IRREVERSIBLE: KeyRule = key(
    "irreversible",
    ValueRule::Bool,
    "It has effects that nothing can undo; they are listed when the saga is compensated.",
    "false",
    "true",
);
const STEP_TIMEOUT: KeyRule = key(
    "timeout",
    DURATION,
    "For the whole step: attempts, delays and waits for guards. None by default.",
    "",
    "\"2m\"",
);
const STEP_OUTAGE: KeyRule = key(
    "onOutage",
    ON_OUTAGE,
    "Whether the step's `timeout` runs on while no answer could be read. By default as the saga's.",
    "\"extend\"",
    "\"count\"",
);
const ATTEMPT_TIMEOUT: KeyRule = key(
    "attemptTimeout",
    DURATION,
    "For one attempt, from leaving the guard to the answer. The participant's `timeout` by default.",
    "",
    "\"5s\"",
);
const STEP_RETRY: KeyRule = key(
    "retry",
    RETRY_RULE,
    "Retries of this step. By default the saga's, then the participant's, then `standard`; after the pivot without end.",
    "\"standard\"",
    "\"quick\"",
);
const STEP_EXHAUSTED: KeyRule = key(
    "onExhausted",
    ON_EXHAUSTED,
    "When its retries are used up. After the pivot only `park` is possible.",
    "\"compensate\"",
    "\"park\"",
);
const WITH: KeyRule = key(
    "with",
    ValueRule::Body,
    "What is sent: JSON in which `${ }` is allowed. GET and DELETE send it as the query.",
    "{}",
    "{\"orderId\": \"${ event.orderId }\"}",
);
const UNDO_KEY: KeyRule = key(
    "undo",
    UNDO_RULE,
    "How the step is undone. The short form sends the step's input and result.",
    "",
    "\"inventory.ReleaseStock\"",
);
const UNDO_RULE: ValueRule = ValueRule::Either(&[TARGET, ValueRule::Shape(&UNDO)]);
const TARGET: ValueRule = ValueRule::Pattern("^((GET|POST|PUT|PATCH|DELETE) .+/.+|[^ ]+\\.[^ ]+)$");

pub(crate) static CALL: MapSchema = MapSchema {
    name: "a step",
    title: "Step that asks a participant",
    keys: &[
        NAME,
        required(
            "do",
            TARGET,
            "The command: `participant.Command` over Kafka, `METHOD participant/path` over HTTP. `capability:name` \
                may stand for the participant.",
            "\"POST payments/charges\"",
        ),
        WITH,
        UNDO_KEY,
        IF,
        key(
            "check",
            ValueRule::Condition,
            "Condition on `result` after success. If it is false, the step is rejected: it is undone and not retried.",
            "",
            "\"result.score < 80\"",
        ),
        AFTER,
        OPTIONAL,
        PIVOT,
        key("readOnly", ValueRule::Bool, "It has no effects and needs no undo.", "false", "true"),
        key(
            "cache",
            DURATION,
            "With `readOnly`: an answer to the same request that is not older than this is used instead of a call.",
            "",
            "\"5m\"",
        ),
        key(
            "fallback",
            ValueRule::List(&ValueRule::Shape(&FALLBACK)),
            "Answers for a step that ended without success. The engine uses the first item that has an answer. An undo has none.",
            "",
            "[{\"lastKnown\": true}, {\"value\": {\"score\": 50}}]",
        ),
        IRREVERSIBLE,
        STEP_TIMEOUT,
        STEP_OUTAGE,
        ATTEMPT_TIMEOUT,
        STEP_RETRY,
        STEP_EXHAUSTED,
    ],
};

pub(crate) static WAIT: MapSchema = MapSchema {
    name: "a step that waits",
    title: "Step that waits",
    keys: &[NAME, required("wait", DURATION, "How long it waits.", "\"10m\""), IF, AFTER],
};

pub(crate) static PUBLISH: MapSchema = MapSchema {
    name: "a step that publishes",
    title: "Step that publishes an event",
    keys: &[
        NAME,
        required("publish", TOPIC, "Topic of the event. The step succeeds when the broker has it.", "\"shop.notices\""),
        required("type", ValueRule::Text, "Type of the event.", "\"OrderConfirmed\""),
        key(
            "key",
            ValueRule::Scalar,
            "The record's key. The business key by default.",
            "",
            "\"${ event.customerId }\"",
        ),
        key(
            "with",
            ValueRule::Body,
            "The record's value: JSON in which `${ }` is allowed.",
            "{}",
            "{\"orderId\": \"${ event.orderId }\"}",
        ),
        UNDO_KEY,
        IF,
        AFTER,
        OPTIONAL,
        PIVOT,
        IRREVERSIBLE,
        STEP_TIMEOUT,
        STEP_OUTAGE,
        ATTEMPT_TIMEOUT,
        STEP_RETRY,
        STEP_EXHAUSTED,
    ],
};

pub(crate) static PARALLEL: MapSchema = MapSchema {
    name: "a parallel block",
    title: "Parallel steps",
    keys: &[required(
        "parallel",
        ValueRule::Some(&PARALLEL_STEP),
        "Steps that start together. The item below follows when all of them are settled.",
        "[{\"step\": \"fraud\", \"do\": \"POST payments/fraud-checks\", \"readOnly\": true}]",
    )],
};

pub(crate) static UNDO: MapSchema = MapSchema {
    name: "an undo",
    title: "Undo",
    keys: &[
        required("do", TARGET, "The command that undoes the step.", "\"POST payments/refunds\""),
        key(
            "with",
            ValueRule::Body,
            "What is sent. Sees `input`, `result` and `doId` besides the rest. By default `{\"input\": …, \"result\": \
                …}`; by DELETE nothing.",
            "",
            "{\"chargeOf\": \"${ doId }\"}",
        ),
        key(
            "retry",
            RETRY_RULE,
            "Retries of the undo: 30 attempts, 1 s to 5 m, unless changed here.",
            "{\"attempts\": 30, \"delay\": \"1s\", \"maxDelay\": \"5m\"}",
            "{\"attempts\": \"forever\", \"delay\": \"1s\", \"maxDelay\": \"5m\"}",
        ),
        ATTEMPT_TIMEOUT,
    ],
};

pub(crate) static RETRY: MapSchema = MapSchema {
    name: "a retry policy",
    title: "Retry policy",
    keys: &[
        key(
            "attempts",
            ValueRule::Either(&[ValueRule::Integer(1), ValueRule::Choice(&["forever"])]),
            "Number of attempts, including the first one.",
            "5",
            "\"forever\"",
        ),
        key("delay", DURATION, "Before the second attempt.", "\"1s\"", "\"200ms\""),
        key("maxDelay", DURATION, "The longest delay.", "\"30s\"", "\"5m\""),
        key(
            "backoff",
            ValueRule::Choice(&["constant", "linear", "exponential"]),
            "How the delay grows.",
            "\"exponential\"",
            "\"linear\"",
        ),
        key("multiplier", ValueRule::Factor, "By how much an exponential delay grows each time, 1 to 10.", "2", "1.5"),
        key(
            "jitter",
            ValueRule::Choice(&["none", "equal", "full", "decorrelated"]),
            "How the delay is spread, so that many sagas do not come back at once. `decorrelated` grows by itself, \
                from the delay before.",
            "\"equal\"",
            "\"full\"",
        ),
    ],
};

pub(crate) static OUTCOME: MapSchema = MapSchema {
    name: "an outcome event",
    title: "Outcome event",
    keys: &[
        required("publish", TOPIC, "Topic of the event.", "\"shop.orders\""),
        required(
            "type",
            ValueRule::Text,
            "Type of the event; never one that triggers this saga.",
            "\"OrderFulfilled\"",
        ),
    ],
};
