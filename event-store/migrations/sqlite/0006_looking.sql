-- As the column on Postgres, see there for the reasons. A table of its own: behind a large payload, a column is reached by reading the payload.
CREATE TABLE journal_outlines (
    stream  BLOB    NOT NULL,
    version INTEGER NOT NULL,
    outline BLOB    NOT NULL,
    PRIMARY KEY (stream, version)
) STRICT, WITHOUT ROWID;

-- The same column as on Postgres; see there for the reasons.
ALTER TABLE streams ADD COLUMN flags TEXT;
CREATE INDEX streams_flagged ON streams (stream) WHERE flags IS NOT NULL;
