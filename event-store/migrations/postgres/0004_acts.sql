-- What people did to streams: a row for each journal row that an act made, written in its transaction. Few streams have
-- one. Queries by time, by person and by stream read pages of it, and no journals.
CREATE TABLE acts (
    stream  uuid    NOT NULL,
    version integer NOT NULL,
    -- When the journal row was decided: its recorded_at.
    at      bigint  NOT NULL,
    key     text    NOT NULL,
    who     text    NOT NULL,
    action  text    NOT NULL,
    reason  text    NOT NULL,
    id      text    NOT NULL,
    PRIMARY KEY (stream, version)
);

CREATE INDEX acts_at ON acts (at, stream, version);
CREATE INDEX acts_who ON acts (who, at, stream, version);
