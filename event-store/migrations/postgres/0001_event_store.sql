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
    -- A large row without what nobody needs who wants to see where its stream stands; null: the row is small, and its payload is read.
    -- Postgres keeps a large payload apart from its row and loads it only for those who ask for it. A null column costs a row nothing.
    outline     bytea,
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
    updated_at bigint  NOT NULL,
    -- What the stream waits on, beside its status: each `kind:name`, ascending, null for nothing. In this row and not in a table beside it:
    -- an append that changes nothing of it then costs nothing for it.
    waits_on   text[],
    -- What people should look at, in words: `,overdue,undoGaveUp,`, null for nothing. Few streams have one, open or not.
    flags      text,
    -- What failed, in a word, of a stream that is held up or went back; null for nothing. Most streams never have one.
    code       text
) WITH (fillfactor = 80);

-- Recovery reads the open streams of one shard.
CREATE INDEX streams_open ON streams (shard, stream) WHERE open;
-- Find by business key, across categories.
CREATE INDEX streams_key ON streams (key);
-- What streams that wait are looked for by, each for equality: `kind:name`, `kind:` for all of a kind, `:name` for all of a name.
CREATE FUNCTION wait_terms(p_waits_on text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT array_agg(t.term)
    FROM unnest(p_waits_on) AS w (word)
    CROSS JOIN LATERAL (VALUES (w.word), (split_part(w.word, ':', 1) || ':'), (':' || split_part(w.word, ':', 2))) AS t (term)
$$;

-- Few streams wait, have flags or failed: who looks for them passes by the others.
CREATE INDEX streams_waiting ON streams (stream) WHERE waits_on IS NOT NULL;
-- Without its list of pending entries: one append in many would pay for emptying it.
CREATE INDEX streams_wait_terms ON streams USING gin (wait_terms(waits_on)) WITH (fastupdate = off) WHERE waits_on IS NOT NULL;
CREATE INDEX streams_flagged ON streams (stream) WHERE flags IS NOT NULL;
CREATE INDEX streams_failed ON streams (code, stream) WHERE code IS NOT NULL;

CREATE TABLE documents (
    kind text NOT NULL,
    hash text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (kind, hash)
);

-- Until when the owner of a shard attended to it, in milliseconds since the epoch by its clock. Of its own, not in shard_epochs: those rows
-- are read by every append, and these change every few seconds.
CREATE TABLE shard_attendance (
    shard integer PRIMARY KEY CHECK (shard BETWEEN 0 AND 4095),
    until bigint  NOT NULL
) WITH (fillfactor = 50);

-- When nobody did. A row goes when no open stream is old enough to have lived through it.
CREATE TABLE shard_gaps (
    shard    integer NOT NULL,
    began_at bigint  NOT NULL,
    ended_at bigint  NOT NULL CHECK (ended_at > began_at),
    PRIMARY KEY (shard, began_at)
);

-- The marks of those who write: that a write works is proved by one. The last mark that is there also says how far the database's state
-- goes, should it once be older than what was committed.
CREATE TABLE heartbeats (
    writer uuid   PRIMARY KEY,
    owner  text   NOT NULL,
    number bigint NOT NULL,
    -- Milliseconds since the epoch, by the writer's clock.
    at     bigint NOT NULL,
    -- By the database's clock: whoever has written nothing for long is gone.
    seen   timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- An append-only log of small texts beside the streams, by topic.
CREATE TABLE notes (
    topic  text   NOT NULL CHECK (octet_length(topic) BETWEEN 1 AND 256),
    -- 1, 2, 3, … within its topic.
    number bigint NOT NULL CHECK (number > 0),
    id     uuid   NOT NULL,
    at     bigint NOT NULL,
    body   text   NOT NULL CHECK (octet_length(body) <= 32768),
    PRIMARY KEY (topic, number),
    UNIQUE (topic, id)
);

-- Raises the epoch of one shard, above `p_above` too: whoever knows of a higher epoch than the database, because the database lost it, must
-- not be given the same one again. Waits for the appends of older epochs that are under way.
CREATE FUNCTION claim_shard(p_shard integer, p_owner text, p_above bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_epoch bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1396786001, p_shard);
    INSERT INTO shard_epochs AS e (shard, epoch, owner) VALUES (p_shard, p_above + 1, p_owner)
        ON CONFLICT (shard) DO UPDATE
            SET epoch = greatest(e.epoch, p_above) + 1, owner = excluded.owner, claimed_at = now()
        RETURNING e.epoch INTO v_epoch;
    RETURN v_epoch;
END $$;

-- One batch, one transaction, one round trip. Answers: 0 committed, 1 duplicate key, 2 conflict, 3 fenced.
-- The arrays are columns of the batch; a null key or status means that the append brings none.
CREATE FUNCTION append_batch(
    p_shard integer[], p_epoch bigint[], p_append_id uuid[], p_stream uuid[], p_version integer[], p_recorded_at bigint[],
    p_payload bytea[], p_category text[], p_key text[], p_payload_hash bytea[], p_document text[],
    p_status text[], p_open boolean[], p_step text[], p_reason text[], p_started_at bigint[], p_waits_on text[],
    p_outline bytea[], p_flags text[], p_code text[]
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
                             p_payload_hash, p_document, p_status, p_open, p_step, p_reason, p_started_at, p_waits_on, p_outline, p_flags,
                             p_code)
            AS t (shard, epoch, append_id, stream, version, recorded_at, payload, category, key,
                  payload_hash, document, status, open, step, reason, started_at, waits_on, outline, flags, code)
    ), held AS (
        SELECT i.* FROM input i JOIN shard_epochs e ON e.shard = i.shard AND e.epoch = i.epoch
    ), taken AS (
        -- (b)
        INSERT INTO stream_keys (category, key, stream, payload_hash)
            SELECT h.category, h.key, h.stream, h.payload_hash FROM held h WHERE h.payload_hash IS NOT NULL
            ON CONFLICT DO NOTHING RETURNING stream_keys.stream
    ), written AS (
        -- (c)
        INSERT INTO journal (stream, version, append_id, recorded_at, payload, outline)
            SELECT h.stream, h.version, h.append_id, h.recorded_at, h.payload, h.outline FROM held h
            WHERE (h.payload_hash IS NULL OR h.stream IN (SELECT t.stream FROM taken t))
              -- Versions have no gaps. Not EXISTS: below an OR that may be planned as a hash of the whole journal.
              AND (h.version = 1
                   OR (SELECT p.version FROM journal p WHERE p.stream = h.stream AND p.version = h.version - 1) IS NOT NULL)
            ON CONFLICT DO NOTHING RETURNING journal.stream
    ), shown AS (
        -- (d)
        INSERT INTO streams AS s
                (stream, shard, category, key, document, status, open, step, reason, started_at, updated_at, waits_on, flags, code)
            SELECT h.stream, h.shard, h.category, h.key, h.document, h.status, h.open, h.step, h.reason, h.started_at, h.recorded_at,
                   string_to_array(h.waits_on, ','), h.flags, h.code
            FROM held h JOIN written w ON w.stream = h.stream WHERE h.status IS NOT NULL
            ON CONFLICT (stream) DO UPDATE SET status = excluded.status, open = excluded.open, step = excluded.step,
                reason = excluded.reason, updated_at = excluded.updated_at, waits_on = excluded.waits_on, flags = excluded.flags,
                document = excluded.document, code = excluded.code
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

-- The lock is held until the note can be seen, so a topic's notes appear in the order of their numbers: whoever has read up to a number
-- has missed none below it. A statement of its own follows the lock: its snapshot shows every note that was waited for.
CREATE FUNCTION add_note(p_topic text, p_id uuid, p_at bigint, p_body text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1396786002, hashtext(p_topic));
    SELECT n.number INTO v_number FROM notes n WHERE n.topic = p_topic AND n.id = p_id;
    IF v_number IS NULL THEN
        INSERT INTO notes (topic, number, id, at, body)
            SELECT p_topic, coalesce(max(n.number), 0) + 1, p_id, p_at, p_body FROM notes n WHERE n.topic = p_topic
            RETURNING notes.number INTO v_number;
    END IF;
    RETURN v_number;
END $$;
