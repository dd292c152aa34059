-- The state of a long stream at one of its versions, so that its owner need not read all rows. A row can be removed at
-- any time: then the owner reads all rows.
CREATE TABLE snapshots (
    stream    uuid    PRIMARY KEY,
    version   integer NOT NULL CHECK (version > 0),
    -- The id of the row with this version. A snapshot of another row of that version is not used.
    append_id uuid    NOT NULL,
    -- The shape of the state, which the writer numbers.
    format    integer NOT NULL CHECK (format > 0),
    state     bytea   NOT NULL
);
