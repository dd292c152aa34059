-- The barrier of a participant. Lies in the database of the service's own work, so that both change in one transaction.
-- Safe to run at every start, by several instances at once: the lock is held to the end of the statement batch.
SELECT pg_advisory_xact_lock(hashtextextended('saga_commands', 0));

CREATE TABLE IF NOT EXISTS saga_commands (
    command_id text        PRIMARY KEY,   -- <saga id>:<step>:<do or undo>
    saga_id    text        NOT NULL,
    step       text        NOT NULL,
    direction  text        NOT NULL CHECK (direction IN ('do', 'undo')),
    -- claimed: being performed in this transaction; nobody else sees it.  succeeded, failed: answered for good.
    -- undone: a do that never came, or was refused, before its undo; it never does anything.
    state      text        NOT NULL CHECK (state IN ('claimed', 'succeeded', 'failed', 'undone')),
    answer     text,                      -- JSON: the result, or {"code": …, "message": …}; given again to a repeated command
    attempt    integer,                   -- which attempt was answered, where the command said so
    at         timestamptz NOT NULL DEFAULT now(),
    CHECK ((answer IS NOT NULL) = (state IN ('succeeded', 'failed')))
);

-- For forgetting: DELETE FROM saga_commands WHERE at < now() - interval '90 days', once no saga that old can be open.
CREATE INDEX IF NOT EXISTS saga_commands_at ON saga_commands (at);
