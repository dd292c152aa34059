-- One final answer per command. A row with a result is what was done and never changes; one with a code is a refusal, which had no
-- effect and may be followed by a result when the command is asked again.
CREATE TABLE IF NOT EXISTS answers (
    command TEXT PRIMARY KEY, -- <saga id>:<step>:<do or undo>
    result  TEXT,             -- JSON
    code    TEXT,
    message TEXT,
    CHECK ((result IS NULL) = (code IS NOT NULL)),
    CHECK ((code IS NULL) = (message IS NULL))
) STRICT, WITHOUT ROWID;
