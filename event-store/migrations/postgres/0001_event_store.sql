-- What the code believes is enforced here. Times are milliseconds since the epoch, as decided by the writer; clocks of the database decide nothing.

CREATE TABLE installation (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    id         uuid    NOT NULL,
    -- Fixed for ever: keys and stream ids are spread by it.
    shards     integer NOT NULL CHECK (shards BETWEEN 1 AND 4096)
);

-- The fencing tokens. A claim raises the epoch under the exclusive advisory lock of its shard; appends read it under the shared one.
CREATE TABLE shard_epochs (
    shard      integer PRIMARY KEY CHECK (shard BETWEEN 0 AND 4095),
    epoch      bigint  NOT NULL CHECK (epoch > 0),
    owner      text    NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now()
);

-- The truth. Append only; one index, on a time-ordered id, because a second one or a random id costs a multiple.
CREATE TABLE journal (
    stream      uuid    NOT NULL,
    version     integer NOT NULL CHECK (version > 0),
    append_id   uuid    NOT NULL,
    recorded_at bigint  NOT NULL,
    payload     bytea   NOT NULL,
    PRIMARY KEY (stream, version)
);

-- Kept when streams are archived: a key that was used once stays taken.
CREATE TABLE stream_keys (
    category     text  NOT NULL,
    key          text  NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 256),
    stream       uuid  NOT NULL,
    payload_hash bytea NOT NULL CHECK (octet_length(payload_hash) = 32),
    PRIMARY KEY (category, key)
);

-- The read model: one row per stream, written in the transaction of the journal row that changes it, and only when the status changes.
CREATE TABLE streams (
    stream     uuid    PRIMARY KEY,
    shard      integer NOT NULL,
    category   text    NOT NULL,
    key        text    NOT NULL,
    document   text    NOT NULL,
    status     text    NOT NULL,
    open       boolean NOT NULL,
    step       text,
    reason     text,
    started_at bigint  NOT NULL,
    updated_at bigint  NOT NULL
) WITH (fillfactor = 80);

-- Recovery reads the open streams of one shard.
CREATE INDEX streams_open ON streams (shard, stream) WHERE open;
-- Find by business key, across categories.
CREATE INDEX streams_key ON streams (key);

CREATE TABLE documents (
    kind text NOT NULL,
    hash text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (kind, hash)
);

-- Raises the epoch of one shard. Waits for the appends of older epochs that are under way.
CREATE FUNCTION claim_shard(p_shard integer, p_owner text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_epoch bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1396786001, p_shard);
    INSERT INTO shard_epochs AS e (shard, epoch, owner) VALUES (p_shard, 1, p_owner)
        ON CONFLICT (shard) DO UPDATE SET epoch = e.epoch + 1, owner = excluded.owner, claimed_at = now()
        RETURNING e.epoch INTO v_epoch;
    RETURN v_epoch;
END $$;

-- One batch, one transaction, one round trip. Answers: 0 committed, 1 duplicate key, 2 conflict, 3 fenced.
-- The arrays are columns of the batch; a null key or status means that the append brings none.
CREATE FUNCTION append_batch(
    p_shard integer[], p_epoch bigint[], p_append_id uuid[], p_stream uuid[], p_version integer[], p_recorded_at bigint[],
    p_payload bytea[], p_category text[], p_key text[], p_payload_hash bytea[], p_document text[],
    p_status text[], p_open boolean[], p_step text[], p_reason text[], p_started_at bigint[]
) RETURNS TABLE (o_position bigint, o_answer integer, o_stream uuid, o_payload_hash bytea)
LANGUAGE plpgsql AS $$
DECLARE
    v_shard    integer;
    v_taken    uuid[];
    v_inserted uuid[];
BEGIN
    -- (a) In ascending order, so that two batches never wait for each other.
    FOR v_shard IN SELECT DISTINCT s FROM unnest(p_shard) s ORDER BY s LOOP
        PERFORM pg_advisory_xact_lock_shared(1396786001, v_shard);
    END LOOP;
    -- A statement of its own: its snapshot is taken after the locks, so it sees every claim that they waited for.
    WITH input AS (
        SELECT * FROM unnest(p_shard, p_epoch, p_append_id, p_stream, p_version, p_recorded_at, p_payload, p_category, p_key,
                             p_payload_hash, p_document, p_status, p_open, p_step, p_reason, p_started_at)
            AS t (shard, epoch, append_id, stream, version, recorded_at, payload, category, key,
                  payload_hash, document, status, open, step, reason, started_at)
    ), held AS (
        SELECT i.* FROM input i JOIN shard_epochs e ON e.shard = i.shard AND e.epoch = i.epoch
    ), taken AS (
        -- (b)
        INSERT INTO stream_keys (category, key, stream, payload_hash)
            SELECT h.category, h.key, h.stream, h.payload_hash FROM held h WHERE h.payload_hash IS NOT NULL
            ON CONFLICT DO NOTHING RETURNING stream_keys.stream
    ), written AS (
        -- (c)
        INSERT INTO journal (stream, version, append_id, recorded_at, payload)
            SELECT h.stream, h.version, h.append_id, h.recorded_at, h.payload FROM held h
            WHERE (h.payload_hash IS NULL OR h.stream IN (SELECT t.stream FROM taken t))
              -- Versions have no gaps. Not EXISTS: below an OR that may be planned as a hash of the whole journal.
              AND (h.version = 1
                   OR (SELECT p.version FROM journal p WHERE p.stream = h.stream AND p.version = h.version - 1) IS NOT NULL)
            ON CONFLICT DO NOTHING RETURNING journal.stream
    ), shown AS (
        -- (d)
        INSERT INTO streams AS s (stream, shard, category, key, document, status, open, step, reason, started_at, updated_at)
            SELECT h.stream, h.shard, h.category, h.key, h.document, h.status, h.open, h.step, h.reason, h.started_at, h.recorded_at
            FROM held h JOIN written w ON w.stream = h.stream WHERE h.status IS NOT NULL
            ON CONFLICT (stream) DO UPDATE SET status = excluded.status, open = excluded.open, step = excluded.step,
                reason = excluded.reason, updated_at = excluded.updated_at
            RETURNING 1
    )
    SELECT (SELECT array_agg(t.stream) FROM taken t), (SELECT array_agg(w.stream) FROM written w) INTO v_taken, v_inserted;

    IF cardinality(v_inserted) = cardinality(p_stream) THEN
        RETURN;
    END IF;
    -- A key goes with its stream's first row or not at all.
    DELETE FROM stream_keys k USING unnest(p_category, p_key, p_stream) AS i (category, key, stream)
        WHERE k.category = i.category AND k.key = i.key AND k.stream = i.stream
          AND i.stream = ANY (v_taken) AND i.stream <> ALL (coalesce(v_inserted, '{}'));
    -- Whatever was not written: committed before under the same append id, or why not.
    RETURN QUERY
        SELECT i.position,
               CASE WHEN j.append_id = i.append_id THEN 0
                    WHEN e.shard IS NULL THEN 3
                    WHEN i.payload_hash IS NOT NULL AND k.stream <> i.stream THEN 1
                    ELSE 2 END,
               k.stream, k.payload_hash
        FROM unnest(p_shard, p_epoch, p_append_id, p_stream, p_version, p_category, p_key, p_payload_hash)
                 WITH ORDINALITY AS i (shard, epoch, append_id, stream, version, category, key, payload_hash, position)
        LEFT JOIN shard_epochs e ON e.shard = i.shard AND e.epoch = i.epoch
        LEFT JOIN journal j ON j.stream = i.stream AND j.version = i.version
        LEFT JOIN stream_keys k ON k.category = i.category AND k.key = i.key AND i.payload_hash IS NOT NULL
        WHERE i.stream <> ALL (coalesce(v_inserted, '{}'));
END $$;
