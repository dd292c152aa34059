-- The feed: all rows of the journal in an order in which a reader misses none. A transaction that writes journal rows
-- names them in one row here. A second index of the journal would cost several times as much.

CREATE TABLE commits (
    -- The id of the transaction. Ids are assigned in order, but transactions end in another order: a reader reads only
    -- below the oldest transaction that runs.
    xid       bigint  NOT NULL,
    -- When the youngest of the rows was decided.
    at        bigint  NOT NULL,
    -- Raised when the database moved to a server whose transaction ids begin lower. 0: rows that are older than the feed.
    era       integer NOT NULL,
    row_count integer NOT NULL,
    streams   uuid[]    NOT NULL,
    versions  integer[] NOT NULL,
    PRIMARY KEY (era, xid)
);
-- Postgres would try to compress the lists of large batches, in vain: ids are random.
ALTER TABLE commits ALTER COLUMN streams SET STORAGE EXTERNAL, ALTER COLUMN versions SET STORAGE EXTERNAL;

CREATE TABLE feed_state (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    era       integer NOT NULL,
    -- The feed no longer has the commits up to this one.
    floor_era integer NOT NULL,
    floor_xid bigint  NOT NULL
);
INSERT INTO feed_state (era, floor_era, floor_xid) VALUES (1, 0, 0);

-- Rows that were written before the feed existed: one commit for each stream, by its start.
INSERT INTO commits (era, xid, at, row_count, streams, versions)
    SELECT 0, row_number() OVER (ORDER BY min(j.recorded_at), j.stream), max(j.recorded_at), count(*),
           array_agg(j.stream), array_agg(j.version ORDER BY j.version)
    FROM journal j GROUP BY j.stream;

-- The era in which commits of now belong: the next one if the last recorded id is one that this server has not assigned
-- yet.
CREATE FUNCTION feed_era() RETURNS integer
LANGUAGE sql VOLATILE AS $$
    SELECT s.era + (coalesce((SELECT c.xid FROM commits c WHERE c.era = s.era ORDER BY c.xid DESC LIMIT 1), 0)
                    >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint)::integer
    FROM feed_state s
$$;

-- Returns the era in which this session writes. Called once for each session, so also on a server that took the place
-- of another one while an engine runs.
CREATE FUNCTION join_feed() RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_era integer := feed_era();
BEGIN
    IF v_era > (SELECT s.era FROM feed_state s) THEN
        -- Held until the commit: who raises the era has committed its rows before others write in the new era.
        PERFORM pg_advisory_xact_lock(1396786003, 0);
        v_era := feed_era();
        UPDATE feed_state SET era = v_era WHERE era < v_era;
    END IF;
    PERFORM set_config('saga.feed_era', v_era::text, false);
    RETURN v_era;
END $$;

-- All commits before this one have ended and can be seen. If the database came from another server and nobody has
-- written here yet, all commits of its eras have ended.
CREATE FUNCTION feed_horizon(OUT o_era integer, OUT o_xid bigint)
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN n.foreign_server THEN s.era + 1 ELSE s.era END,
           CASE WHEN n.foreign_server THEN 0 ELSE pg_snapshot_xmin(pg_current_snapshot())::text::bigint END
    FROM feed_state s
    CROSS JOIN LATERAL (
        SELECT coalesce((SELECT c.xid FROM commits c WHERE c.era = s.era ORDER BY c.xid DESC LIMIT 1)
                        >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint, false) AS foreign_server
    ) n
$$;
