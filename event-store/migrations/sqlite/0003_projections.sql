-- Projections, as on Postgres.

CREATE TABLE projections (
    name         TEXT    NOT NULL,
    generation   INTEGER NOT NULL CHECK (generation > 0),
    code_version INTEGER NOT NULL,
    is_live      INTEGER NOT NULL CHECK (is_live IN (0, 1)),
    position     TEXT    NOT NULL,
    at           INTEGER,
    problem      TEXT,
    PRIMARY KEY (name, generation)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX projections_live ON projections (name) WHERE is_live;

CREATE TABLE projection_rows (
    name       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    row_key    TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (name, generation, row_key)
) STRICT, WITHOUT ROWID;
