-- The barrier of a participant. Lies in the database of the service's own work, so that both change in one transaction.
-- Safe to run at every start.
CREATE TABLE IF NOT EXISTS saga_commands (
    command_id TEXT PRIMARY KEY,          -- <saga id>:<step>:<do or undo>
    saga_id    TEXT NOT NULL,
    step       TEXT NOT NULL,
    direction  TEXT NOT NULL CHECK (direction IN ('do', 'undo')),
    -- claimed: being performed in this transaction; nobody else sees it.  succeeded, failed: answered for good.
    -- undone: a do that never came, or was refused, before its undo; it never does anything.
    state      TEXT NOT NULL CHECK (state IN ('claimed', 'succeeded', 'failed', 'undone')),
    answer     TEXT,                      -- JSON: the result, or {"code": …, "message": …}; given again to a repeated command
    attempt    INTEGER,                   -- which attempt was answered, where the command said so
    at         TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK ((answer IS NOT NULL) = (state IN ('succeeded', 'failed')))
) STRICT, WITHOUT ROWID;

-- For forgetting: DELETE FROM saga_commands WHERE at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-90 days'), once no saga that old can be open.
CREATE INDEX IF NOT EXISTS saga_commands_at ON saga_commands (at);
