-- What failed, in a word, of a stream that is held up or went back; null for nothing. Most streams never have one.
ALTER TABLE streams ADD COLUMN code text;
-- Who looks for what failed passes by all the others.
CREATE INDEX streams_failed ON streams (code, stream) WHERE code IS NOT NULL;

-- As before, with codes, and with the document that the stream goes by now. One batch, one transaction, one round trip. Answers: 0 committed, 1 duplicate key, 2 conflict, 3 fenced.
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
                   h.waits_on, h.flags, h.code
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

-- As engines of the build before go on calling it while they run: what they write has no code.
CREATE OR REPLACE FUNCTION append_batch(
    p_shard integer[], p_epoch bigint[], p_append_id uuid[], p_stream uuid[], p_version integer[], p_recorded_at bigint[],
    p_payload bytea[], p_category text[], p_key text[], p_payload_hash bytea[], p_document text[],
    p_status text[], p_open boolean[], p_step text[], p_reason text[], p_started_at bigint[], p_waits_on text[],
    p_outline bytea[], p_flags text[]
) RETURNS TABLE (o_position bigint, o_answer integer, o_stream uuid, o_payload_hash bytea)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM append_batch(
        p_shard, p_epoch, p_append_id, p_stream, p_version, p_recorded_at, p_payload, p_category, p_key, p_payload_hash, p_document,
        p_status, p_open, p_step, p_reason, p_started_at, p_waits_on, p_outline, p_flags,
        array_fill(NULL::text, ARRAY[cardinality(p_shard)]));
END $$;
