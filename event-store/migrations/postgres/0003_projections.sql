-- Projections: rows that are made of the feed's events. A new projection needs no table of its own.

-- The generations of each projection. One is live; a newer one is built beside it and then takes its place.
CREATE TABLE projections (
    name         text    NOT NULL,
    generation   bigint  NOT NULL CHECK (generation > 0),
    -- The version of the rules by which its rows are made.
    code_version bigint  NOT NULL,
    is_live      boolean NOT NULL,
    -- The cursor of the last row of the feed that was applied. It changes together with the rows.
    position     text    NOT NULL,
    -- When that row was recorded.
    at           bigint,
    -- Why it does not go on; null: it does.
    problem      text,
    PRIMARY KEY (name, generation)
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX projections_live ON projections (name) WHERE is_live;

CREATE TABLE projection_rows (
    name       text   NOT NULL,
    generation bigint NOT NULL,
    row_key    text   COLLATE "C" NOT NULL,
    body       text   NOT NULL,
    PRIMARY KEY (name, generation, row_key)
) WITH (fillfactor = 80);

-- Makes a generation the live one, in place of an older one. Returns whether it is.
CREATE FUNCTION switch_projection(p_name text, p_generation bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    -- One at a time, also with builders that move its position.
    PERFORM 1 FROM projections WHERE name = p_name ORDER BY generation FOR UPDATE;
    IF NOT EXISTS (SELECT 1 FROM projections WHERE name = p_name AND generation = p_generation AND problem IS NULL)
       OR EXISTS (SELECT 1 FROM projections WHERE name = p_name AND generation > p_generation AND is_live) THEN
        RETURN false;
    END IF;
    UPDATE projections SET is_live = false WHERE name = p_name AND is_live AND generation < p_generation;
    UPDATE projections SET is_live = true WHERE name = p_name AND generation = p_generation;
    RETURN true;
END $$;
