//! Names of everything that can be wrong.

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Stable name of a kind of finding; the documentation has a page for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// All codes, in the order of the documentation.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The code's name, as findings print it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)+
                }
            }
        }
    };
}

codes! {
    /// The file is not UTF-8 or not YAML, or uses a part of YAML that is refused here: aliases, merge keys, tags,
    /// several documents.
    Yaml = "yaml",
    /// The file is larger than the limits: 256 KiB, 64 levels, 50,000 parts. Split it into several definitions.
    TooLarge = "too-large",
    /// `${ }` stands unquoted where YAML reads `{`, `}` or `: ` for itself. Quote it: `"${ event.id }"`.
    UnquotedExpression = "unquoted-expression",
    /// A key that does not exist here. It is refused because a misspelt `undo` must not be ignored.
    UnknownKey = "unknown-key",
    /// A key that has to be there is not.
    MissingKey = "missing-key",
    /// Keys that exclude each other stand together, such as `do` and `wait` in one step.
    ConflictingKeys = "conflicting-keys",
    /// A value of the wrong kind, or outside of what is allowed: a text for a boolean, an unknown preset, zero
    /// attempts.
    WrongValue = "wrong-value",
    /// A number that is written in a way that does not survive reading (`010`, `1_000`, `0x1F`). Quote it, or write it
    /// plainly.
    AmbiguousNumber = "ambiguous-number",
    /// Not a duration. Write `500ms`, `30s`, `15m`, `2h`, `7d`, or ISO 8601 (`PT15M`).
    BadDuration = "bad-duration",
    /// Not a name. Steps are `[a-z][A-Za-z0-9_]{0,63}` because expressions read them (`steps.reserve`), where a hyphen
    /// would be a minus; sagas and participants may contain `-` and `.`.
    BadName = "bad-name",
    /// What a step does is neither `participant.Command` nor `METHOD participant/path`, where `capability:name` may
    /// stand for a participant.
    BadTarget = "bad-target",
    /// Two steps have the same name.
    DuplicateStep = "duplicate-step",
    /// `after` names a step that does not exist.
    UnknownStep = "unknown-step",
    /// `parallel` holds steps only: no `parallel` within, no `after` inside.
    Nesting = "nesting",
    /// More steps than the limit.
    TooManySteps = "too-many-steps",
    /// The steps wait for each other in a circle, or participants need each other in one.
    Cycle = "cycle",
    /// A step that never runs, because its `if` is never true.
    UnreachableStep = "unreachable-step",
    /// A condition that does not depend on anything. (Warning.)
    ConstantCondition = "constant-condition",
    /// Not a CEL expression, or one that is too large or too deep.
    Expression = "expression",
    /// An expression near the limit; at the limit it is refused. (Warning.)
    LongExpression = "long-expression",
    /// An expression reads a name that does not exist where it stands.
    UnknownName = "unknown-name",
    /// An expression calls a function that does not exist.
    UnknownFunction = "unknown-function",
    /// An expression reads the result of a step that need not have succeeded, or `result` after an unknown outcome.
    /// Guard it in the same expression with `has(steps.name)` or `result != null`.
    UnprovenRead = "unproven-read",
    /// An expression can be null where null is an error: in a path, in text, in a key, in a query, as an operand. What
    /// fails there is a step that never runs, or an undo that the engine cannot run.
    NullInText = "null-in-text",
    /// An expression makes a list, a map or an empty string where a path, a text or a key takes none, or a kind of
    /// value that nothing there takes.
    UnfitValue = "unfit-value",
    /// The schema of the trigger's event has no such field.
    UnknownField = "unknown-field",
    /// The next schema of the trigger's event gives a field that an expression reads another form.
    RetypedField = "retyped-field",
    /// A schema file is not an Avro schema.
    BadSchema = "bad-schema",
    /// A command or an event goes to a topic in Avro, and no file has its schema, which nothing else can give.
    /// (Warning.)
    MissingSchema = "missing-schema",
    /// A step before the pivot has effects and no `undo`, so the saga could not be undone.
    MissingUndo = "missing-undo",
    /// A `check` can reject a step that has done its work; the step needs an `undo`.
    CheckWithoutUndo = "check-without-undo",
    /// A `check` after the pivot can only park the saga. (Warning.)
    CheckAfterPivot = "check-after-pivot",
    /// An `undo` after the pivot is never used. (Warning.)
    UndoAfterPivot = "undo-after-pivot",
    /// More than one step is the pivot.
    TwoPivots = "two-pivots",
    /// A step runs in parallel with the pivot: it may be done or not when the pivot succeeds, so neither undoing nor
    /// going on is right.
    BesidePivot = "beside-pivot",
    /// `onExhausted: compensate` after the pivot, where a saga only goes forward.
    CompensateAfterPivot = "compensate-after-pivot",
    /// `cache`, `cached` and `lastKnown` answer with what was answered before, which a step with effects must not be.
    NotReadOnly = "not-read-only",
    /// The pivot has a `cache` or a `fallback`. Only its participant can say that it happened.
    FallbackOfPivot = "fallback-of-pivot",
    /// A fallback stands behind one that always answers. (Warning.)
    UnreachableFallback = "unreachable-fallback",
    /// A text that looks like an expression and is taken as it is: `event.id` without `${ }`, `{{ event.id }}`, `:id`
    /// in a path, `${` in the `value` of a fallback. (Warning.)
    LiteralExpression = "literal-expression",
    /// A business key of several values in one text (`${ event.tenant }/${ event.id }`) that other values make, too:
    /// `acme/eu` and `7`, `acme` and `eu/7`. The second event would start nothing. Write the parts as a list: `key:
    /// ["${ event.tenant }", "${ event.id }"]`. (Warning.)
    AmbiguousKey = "ambiguous-key",
    /// A timeout that cannot be kept: the longest path of waits and attempts is longer.
    TimeoutTooShort = "timeout-too-short",
    /// A participant that participants.yaml does not have.
    UnknownParticipant = "unknown-participant",
    /// A capability that no participant of participants.yaml has.
    UnknownCapability = "unknown-capability",
    /// A step asks a participant over a transport that it does not speak.
    WrongTransport = "wrong-transport",
    /// `${ env.NAME }` names a variable that is not set.
    MissingVariable = "missing-variable",
    /// A secret stands in the file itself, where everybody who has the file reads it. Write `${ env.NAME }` or
    /// `${ file.PATH }` in its place. (Warning.)
    LiteralSecret = "literal-secret",
    /// A credential of the trigger's headers goes into a request, an undo or the output, and so into the journal. Let
    /// the engine log in for itself. (Warning.)
    ForwardedCredential = "forwarded-credential",
    /// Two files define a saga of the same name.
    DuplicateDefinition = "duplicate-definition",
    /// A file of the folder that looks like a definition or like participants.yaml and has another name, such as
    /// `order.saga.yml`. It is not read.
    NotRead = "not-read",
    /// The configuration that was named cannot be used: an unknown key, or a value that a key cannot have.
    BadConfig = "bad-config",
    /// An outcome event would start its own saga again, for ever.
    TriggersItself = "triggers-itself",
    /// A trigger reads a topic that the engine writes itself, or a saga publishes to one that the engine keeps for
    /// itself.
    EngineTopic = "engine-topic",
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
