//! What people look for under a name that other products have, and how it is written here.

use super::keys::MapSchema;

/// A wish: its names, without regard to case, `_` and `-`, and what to write.
struct AliasHint {
    names: &'static [&'static str],
    today: &'static str,
    /// Items of `steps`, or nothing. A test reads each.
    example: &'static str,
}

/// What to write for a key of `shape` that is none, if that is a well-known wish.
pub(super) fn key(shape: &MapSchema, name: &str) -> Option<String> {
    let wishes: &[AliasHint] = match shape.name {
        "a saga definition" => &OF_SAGA,
        "a trigger" => &OF_TRIGGER,
        "a participant" | "`authorization`" => &OF_PARTICIPANT,
        "a step" | "a step that waits" | "a step that publishes" | "a parallel block" => &OF_STEP,
        _ => &[],
    };
    find(wishes, name).or_else(|| (shape.name == "a saga definition").then(|| find(&OF_STEP, name)).flatten())
}

/// What to write for a function that does not exist, if that is a well-known wish.
pub(super) fn function(name: &str) -> Option<String> {
    find(&OF_EXPRESSION, name)
}

/// What stands for a wait that is no duration.
pub(super) const WAIT: &str = "a wait has a fixed length, such as wait: 10m. For an event, an approval or a date, ask a participant that answers when it has come, for up to \
    days:\n- {step: approve, do: approvals.AskForApproval, attemptTimeout: 3d, readOnly: true}";

/// What stands for a saga that a step would start.
pub(super) const SUB_SAGA: &str = "publish an event that another saga has as its trigger:\n- {step: handOver, publish: shop.handovers, type: \
    HandedOver, with: {orderId: \"${ saga.key }\"}, irreversible: true}";

fn find(wishes: &[AliasHint], name: &str) -> Option<String> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let name = plain(name);
    let wish = wishes.iter().find(|wish| wish.names.iter().any(|known| plain(known) == name))?;
    Some(if wish.example.is_empty() { wish.today.to_owned() } else { format!("{}:\n{}", wish.today, wish.example) })
}

const OF_SAGA: [AliasHint; 5] = [
    AliasHint {
        names: &["cron", "schedule", "every", "interval", "at", "startAt", "timer"],
        today: "a saga starts with an event: let a scheduler, such as a CronJob of Kubernetes, publish one",
        example: "",
    },
    AliasHint {
        names: &["on", "event", "events", "topic", "start", "startsWith", "source", "http", "webhook"],
        today: "write trigger: {topic: shop.orders, type: OrderPlaced, key: \"${ event.orderId }\"}; a saga starts \
            with an event",
        example: "",
    },
    AliasHint {
        names: &["onFailure", "onFailed", "onError", "onFail", "onCancel", "onTimeout", "finally", "onRollback"],
        today: "what a saga does when it was undone is an event: onCompensated: {publish: shop.orders, type: \
            OrderRejected}",
        example: "",
    },
    AliasHint {
        names: &["name", "id", "workflow", "metadata"],
        today: "the name of a saga stands under `saga`: saga: order-fulfillment",
        example: "",
    },
    AliasHint {
        names: &["variables", "vars", "env", "const", "inputs", "params", "input"],
        today: "a definition has no variables: read `event`, or the results of steps; addresses and secrets stand in \
            participants.yaml",
        example: "",
    },
];

const OF_PARTICIPANT: [AliasHint; 1] = [AliasHint {
    names: &[
        "forward",
        "forwardAuthorization",
        "forwardToken",
        "forwardHeaders",
        "passThrough",
        "passAuthorization",
        "propagate",
        "propagateToken",
        "caller",
        "onBehalfOf",
        "impersonate",
        "delegate",
        "tokenExchange",
    ],
    today: FORWARDING,
    example: "",
}];

/// Why no token of a caller goes on to participants, and what to write.
pub(super) const FORWARDING: &str = "the token of a caller is not passed on: a journal keeps what a call needs for \
    ever, and the token has expired when a retry or an undo is sent, days later. Let the engine log in for itself, \
    with authorization: {clientCredentials: {tokenUrl: …, clientId: …, clientSecret: \"${ env.NAME }\"}}, and pass on \
    who the caller is as data: with: {userId: \"${ event.userId }\"}";

const OF_TRIGGER: [AliasHint; 3] = [
    AliasHint {
        names: &["cron", "schedule", "every", "interval", "at", "timer", "http", "webhook", "path"],
        today: "a saga starts with an event of a topic: let a scheduler, such as a CronJob of Kubernetes, or a \
            service publish one",
        example: "",
    },
    AliasHint {
        names: &["filter", "if", "condition", "where", "match"],
        today: "write `when`, as in when: event.amountCents > 0",
        example: "",
    },
    AliasHint {
        names: &["correlationId", "correlation", "businessKey", "id", "idempotencyKey"],
        today: "write `key`, as in key: \"${ event.orderId }\": the same key never starts the saga twice",
        example: "",
    },
];

const OF_STEP: [AliasHint; 19] = [
    AliasHint {
        names: &["name", "id", "title", "label"],
        today: "the name of a step stands under `step`",
        example: "- {step: charge, do: POST payments/charges, undo: POST payments/refunds}",
    },
    AliasHint {
        names: &["else", "otherwise", "orElse", "elseIf", "elif"],
        today: "a step has one `if`: another step has the opposite one",
        example: "- {step: parcel, if: \"!event.digital\", do: shipping.CreateParcel, undo: shipping.CancelParcel}\n\
            - {step: download, if: event.digital, do: POST payments/downloads, undo: POST payments/downloads/cancel}",
    },
    AliasHint {
        names: &[
            "waitFor",
            "waitForEvent",
            "await",
            "awaitEvent",
            "receive",
            "signal",
            "approval",
            "event",
            "callback",
            "userTask",
        ],
        today: "ask a participant that answers when the event or the approval has come: over Kafka its reply may come \
            days later",
        example: "- {step: approve, do: approvals.AskForApproval, attemptTimeout: 3d, readOnly: true}",
    },
    AliasHint {
        names: &["forEach", "for", "loop", "each", "items", "withItems", "repeat", "iterate", "map", "while"],
        today: "steps have no loop: send the whole list to one participant, and let its undo take back what was done \
            of it",
        example: "- {step: reserve, do: inventory.ReserveLines, with: {lines: \"${ event.items }\"}, undo: \
            inventory.ReleaseLines}",
    },
    AliasHint {
        names: &["onFailure", "onFailed", "onError", "onFail", "catch", "rescue", "except", "errorHandler"],
        today: "for an alternative after a failure, make the step optional and add a second step that runs if the first has no result",
        example: "- {step: card, do: POST payments/charges, undo: POST payments/refunds, optional: true}\n\
            - {step: invoice, if: \"!has(steps.card)\", do: POST payments/invoices, undo: POST payments/invoices/cancel}",
    },
    AliasHint {
        names: &["headers", "header", "auth", "authorization"],
        today: "headers are said once for a participant, in participants.yaml; what differs from event to event goes \
            into `with`",
        example: "- {step: charge, do: POST payments/charges, with: {tenant: \"${ event.tenant }\"}, undo: POST \
            payments/refunds}",
    },
    AliasHint {
        names: &["cron", "schedule", "every", "interval", "at"],
        today: "a saga starts with an event: let a scheduler, such as a CronJob of Kubernetes, publish one",
        example: "",
    },
    AliasHint {
        names: &["join", "gateway", "fork", "concurrent", "all", "race", "any"],
        today: "steps run side by side in `parallel`, and the item below it waits for all of them; `after` names \
            others",
        example: "- parallel: [{step: flight, do: GET travel/flights, readOnly: true}, {step: hotel, do: GET \
            travel/hotels, readOnly: true}]",
    },
    AliasHint {
        names: &[
            "compensate",
            "compensation",
            "compensateWith",
            "rollback",
            "revert",
            "onRollback",
            "cancel",
            "compensatedBy",
        ],
        today: "write `undo`",
        example: "- {step: charge, do: POST payments/charges, undo: POST payments/refunds}",
    },
    AliasHint {
        names: &["dependsOn", "needs", "requires", "dependencies", "next", "then", "goto", "transition", "follows"],
        today: "a step follows the item above it; `after` names other steps in place of that",
        example: "- {step: first, do: GET payments/a, readOnly: true}\n- {step: second, after: [first], do: GET \
            payments/b, readOnly: true}",
    },
    AliasHint {
        names: &["when", "condition", "unless", "runIf", "only"],
        today: "write `if`, with an expression without `${ }`",
        example: "- {step: ship, if: \"!event.digital\", do: shipping.CreateParcel, undo: shipping.CancelParcel}",
    },
    AliasHint {
        names: &["switch", "choice", "choices", "case", "branch", "branches", "cases"],
        today: "give each way an `if`: a step whose `if` is false is skipped, and what follows goes on",
        example: "- {step: parcel, if: \"!event.digital\", do: shipping.CreateParcel, undo: shipping.CancelParcel}\n\
            - {step: download, if: event.digital, do: POST payments/downloads, undo: POST payments/downloads/cancel}",
    },
    AliasHint {
        names: &["sleep", "delay", "pause", "waitUntil", "until", "timer", "duration"],
        today: "a step waits for a fixed length; for a date, ask a participant that answers then",
        example: "- {step: coolOff, wait: 10m}",
    },
    AliasHint {
        names: &[
            "action",
            "call",
            "command",
            "invoke",
            "run",
            "uses",
            "task",
            "http",
            "url",
            "request",
            "method",
            "endpoint",
            "service",
            "participant",
            "execute",
        ],
        today: "write `do`: participant.Command over Kafka, METHOD participant/path over HTTP",
        example: "- {step: charge, do: POST payments/charges, undo: POST payments/refunds}",
    },
    AliasHint {
        names: &[
            "body",
            "input",
            "inputs",
            "args",
            "arguments",
            "params",
            "parameters",
            "payload",
            "data",
            "json",
            "query",
        ],
        today: "write `with`: the body, or of GET and DELETE the query",
        example: "- {step: look, do: GET payments/customers, with: {id: \"${ event.customerId }\"}, readOnly: true}",
    },
    AliasHint {
        names: &["emit", "send", "produce", "topic"],
        today: "write `publish`, and `type`",
        example: "- {step: tell, publish: shop.notices, type: OrderChecked, with: {orderId: \"${ saga.key }\"}, \
            irreversible: true}",
    },
    AliasHint {
        names: &["saga", "subSaga", "subWorkflow", "childWorkflow", "workflow", "child"],
        today: "publish an event that another saga has as its trigger",
        example: "- {step: handOver, publish: shop.handovers, type: HandedOver, with: {orderId: \"${ saga.key }\"}, \
            irreversible: true}",
    },
    AliasHint {
        names: &["concurrency", "rateLimit", "bulkhead", "breaker", "circuitBreaker", "limit", "priority"],
        today: "limits and breakers belong to the participant: write `bulkhead`, `rateLimit` and `breaker` in \
            participants.yaml",
        example: "",
    },
    AliasHint {
        names: &["output", "outputs", "result", "register", "as", "assign", "set", "store"],
        today: "what a step answers is read as steps.<its name>, without being declared",
        example: "- {step: look, do: GET payments/scores, readOnly: true}\n\
            - {step: tell, do: POST payments/notes, with: {score: \"${ steps.look.score }\"}, irreversible: true}",
    },
];

const OF_EXPRESSION: [AliasHint; 7] = [
    AliasHint {
        names: &["now", "today", "currentTime", "currentTimestamp", "date", "time"],
        today: "an expression has the same value whenever it is evaluated: read saga.startedAt, or record.timestamp \
            of the event",
        example: "- {step: note, do: POST payments/notes, with: {at: \"${ saga.startedAt }\"}, irreversible: true}",
    },
    AliasHint {
        names: &["uuid", "uuid4", "guid", "newId", "randomUuid", "random", "rand"],
        today: "an expression has the same value whenever it is evaluated: saga.id is unique for each saga",
        example: "- {step: note, do: POST payments/notes, with: {id: \"${ saga.id }-note\"}, irreversible: true}",
    },
    AliasHint {
        names: &["len", "length", "count"],
        today: "write size(x)",
        example: "- {step: note, do: POST payments/notes, with: {lines: \"${ size(event.items) }\"}, irreversible: \
            true}",
    },
    AliasHint {
        names: &["concat", "plus"],
        today: "write the values into one text, or join them by `+`",
        example: "- {step: note, do: POST payments/notes, with: {text: \"${ event.a }/${ event.b }\"}, irreversible: \
            true}",
    },
    AliasHint {
        names: &[
            "coalesce",
            "default",
            "orValue",
            "orElse",
            "or",
            "ifNull",
            "optional",
            "get",
            "getOrDefault",
            "value",
            "hasValue",
        ],
        today: "write has(x) ? x : another value",
        example: "- {step: note, do: POST payments/notes, with: {note: \"${ has(event.note) ? event.note : null }\"}, \
            irreversible: true}",
    },
    AliasHint {
        names: &["env", "secret", "secrets"],
        today: "addresses and secrets stand in participants.yaml, as ${ env.NAME }; a definition does not see them",
        example: "",
    },
    AliasHint {
        names: &[
            "sum",
            "avg",
            "min",
            "max",
            "reduce",
            "fold",
            "join",
            "split",
            "replace",
            "lower",
            "lowerAscii",
            "toLower",
            "toLowerCase",
            "upper",
            "upperAscii",
            "toUpper",
            "toUpperCase",
            "trim",
            "substring",
            "substr",
            "format",
            "round",
            "ceil",
            "floor",
            "abs",
            "sort",
            "reverse",
            "first",
            "last",
            "flatten",
            "distinct",
            "zip",
            "charAt",
            "indexOf",
            "toJson",
            "parseJson",
            "json",
            "base64",
            "hash",
            "sha256",
            "md5",
        ],
        today: "an expression cannot change a list or a string: let the producer send the finished value, or a \
            participant compute it in a step without effects",
        example: "- {step: total, do: POST payments/totals, with: {lines: \"${ event.items }\"}, readOnly: true}",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    const PARTICIPANTS: &str = "
participants:
  approvals: {kafka: {commands: approvals.commands}}
  inventory: {kafka: {commands: inventory.commands}}
  shipping: {kafka: {commands: shipping.commands}}
  payments: {http: {url: 'http://localhost:9001'}}
  travel: {http: {url: 'http://localhost:9002'}}
";

    fn proved(example: &str) {
        let trigger = "trigger: {topic: shop.orders, type: OrderPlaced, key: \"${ event.orderId }\"}";
        let steps: String = example.lines().map(|line| format!("  {line}\n")).collect();
        let text = format!("saga: example\n{trigger}\nsteps:\n{steps}");
        let participants = super::super::participants::parse("participants.yaml", PARTICIPANTS, &|_| None);
        let participants = participants.expect("the participants hold");
        let parsed = super::super::parse("example.saga.yaml", &text, Some(&participants), None);
        let warnings = parsed.unwrap_or_else(|findings| panic!("{text}\n{findings:?}")).warnings;
        assert!(warnings.is_empty(), "{text}\n{warnings:?}");
    }

    #[test]
    fn what_a_hint_writes_out_passes() {
        let all = OF_SAGA.iter().chain(&OF_TRIGGER).chain(&OF_STEP).chain(&OF_EXPRESSION);
        let examples: Vec<&str> = all.map(|wish| wish.example).filter(|example| !example.is_empty()).collect();
        assert!(examples.len() > 15);
        examples.into_iter().for_each(proved);
        for hint in [WAIT, SUB_SAGA] {
            proved(hint.split_once('\n').expect("an example").1);
        }
    }
}
