-- From where an act came (the name that a login proved, which key or token proved it, the address, the id of the
-- request), and how what it was done to stood before and after, as JSON. Null in rows of earlier builds.
ALTER TABLE acts
    ADD COLUMN subject text, ADD COLUMN token text, ADD COLUMN address text, ADD COLUMN request text,
    ADD COLUMN before text, ADD COLUMN after text;
ALTER TABLE letter_acts
    ADD COLUMN subject text, ADD COLUMN token text, ADD COLUMN address text, ADD COLUMN request text,
    ADD COLUMN before text, ADD COLUMN after text;

-- The records of what people did are only appended: nothing in this product changes or removes them. A statement that
-- would is refused, also if it would find no row, and also where triggers are off for replication.
CREATE FUNCTION refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Rows are never changed or removed. An act that was wrong is followed by another one.';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON acts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON letter_acts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON notes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
ALTER TABLE acts ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE letter_acts ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE notes ENABLE ALWAYS TRIGGER append_only;

-- As in 0001, with more on record of an act. Appends a batch in one transaction and one round trip. Each array is a
-- column of the batch. A null payload hash means that the append takes no key, a null status that it does not change the
-- read model. The key that an append takes can be another one than the key of its stream: p_new_category and p_new_key
-- name it. `p_first` and `p_last` are the lowest and the highest stream of the batch: without them each statement would
-- open all partitions. Returns a row for each append that was not written now: 0 committed before, 1 duplicate key, 2
-- conflict, 3 fenced.
CREATE FUNCTION append_batch(
    p_shard integer[], p_epoch bigint[], p_append_id uuid[], p_stream uuid[], p_version integer[], p_recorded_at bigint[],
    p_payload bytea[], p_category text[], p_key text[], p_payload_hash bytea[], p_document text[],
    p_status text[], p_open boolean[], p_step text[], p_reason text[], p_started_at bigint[], p_waits_on text[],
    p_outline bytea[], p_flags text[], p_code text[], p_data_key bytea[], p_new_category text[], p_new_key text[],
    p_first uuid, p_last uuid,
    -- Of the appends that an act of a person made, which are few: by stream, and not by place in the batch.
    p_act_stream uuid[], p_act_id text[], p_act_who text[], p_act_action text[], p_act_reason text[],
    p_act_subject text[], p_act_token text[], p_act_address text[], p_act_request text[], p_act_before text[], p_act_after text[]
) RETURNS TABLE (o_position bigint, o_answer integer, o_stream uuid, o_payload_hash bytea)
-- With one plan for all calls: to plan a call costs more than the call.
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_shard    integer;
    v_taken    uuid[];
    v_inserted uuid[];
    v_era      integer := nullif(current_setting('saga.feed_era', true), '')::integer;
BEGIN
    -- The shared locks keep claims of these shards out until the commit. Ascending order: two batches and a claim
    -- between them cannot deadlock.
    FOR v_shard IN SELECT DISTINCT s FROM unnest(p_shard) s ORDER BY s LOOP
        PERFORM pg_advisory_xact_lock_shared(1396786001, v_shard);
    END LOOP;
    IF v_era IS NULL THEN
        v_era := join_feed();
    END IF;
    -- A statement of its own: Postgres takes its snapshot after the locks, so it sees every claim that the locks waited
    -- for.
    WITH input AS (
        SELECT * FROM unnest(p_shard, p_epoch, p_append_id, p_stream, p_version, p_recorded_at, p_payload, p_category, p_key,
                             p_payload_hash, p_document, p_status, p_open, p_step, p_reason, p_started_at, p_waits_on, p_outline, p_flags,
                             p_code, p_data_key, p_new_category, p_new_key) WITH ORDINALITY
            AS t (shard, epoch, append_id, stream, version, recorded_at, payload, category, key,
                  payload_hash, document, status, open, step, reason, started_at, waits_on, outline, flags, code, data_key,
                  new_category, new_key, place)
    ), held AS (
        -- Appends under an older epoch end here.
        SELECT i.* FROM input i JOIN shard_epochs e ON e.shard = i.shard AND e.epoch = i.epoch
    ), taken AS (
        -- Of several streams with one key the unique index lets the first one of the batch pass. It waits for a concurrent
        -- transaction that takes the same key.
        INSERT INTO stream_keys (category, key, stream, payload_hash)
            SELECT h.new_category, h.new_key, h.stream, h.payload_hash FROM held h WHERE h.payload_hash IS NOT NULL
            ORDER BY h.place
            ON CONFLICT DO NOTHING RETURNING stream_keys.stream
    ), written AS (
        -- A row is written only if its stream got its key. An existing row of this version stays: the answer below
        -- tells why.
        INSERT INTO journal (stream, version, append_id, recorded_at, payload, outline)
            SELECT h.stream, h.version, h.append_id, h.recorded_at, h.payload, h.outline FROM held h
            WHERE (h.payload_hash IS NULL OR h.stream IN (SELECT t.stream FROM taken t))
              -- Versions have no gaps. Not EXISTS: below an OR, Postgres may plan it as a hash of the whole journal.
              AND (h.version = 1
                   OR (SELECT p.version FROM journal p
                       WHERE p.stream = h.stream AND p.version = h.version - 1
                         AND p.stream BETWEEN p_first AND p_last) IS NOT NULL)
            ON CONFLICT DO NOTHING RETURNING journal.stream, journal.version, journal.recorded_at
    ), noted AS (
        -- The snapshot of this statement is older than the id of this transaction. So if it shows a row, the commit of
        -- that row has a smaller id: the feed has the rows of each stream in their order.
        INSERT INTO commits (era, xid, at, row_count, streams, versions)
            SELECT v_era, pg_current_xact_id()::text::bigint, max(w.recorded_at), count(*), array_agg(w.stream), array_agg(w.version)
            FROM written w HAVING count(*) > 0
            RETURNING commits.streams
    ), keyed AS (
        -- The wrapped key that seals the rows of a new stream; null without encryption.
        INSERT INTO data_keys (stream, wrapped)
            SELECT h.stream, h.data_key FROM held h JOIN written w ON w.stream = h.stream WHERE h.data_key IS NOT NULL
            RETURNING 1
    ), shown AS (
        -- Only for rows that were written: a repeat of an old append must not bring its status back.
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
    SELECT (SELECT array_agg(t.stream) FROM taken t), (SELECT n.streams FROM noted n) INTO v_taken, v_inserted;

    -- A batch without acts does not pay for them.
    IF cardinality(p_act_stream) > 0 THEN
        INSERT INTO acts (stream, version, at, key, who, action, reason, id, subject, token, address, request, before, after)
            SELECT i.stream, i.version, i.recorded_at, i.key, a.who, a.action, a.reason, a.id,
                   a.subject, a.token, a.address, a.request, a.before, a.after
            FROM unnest(p_act_stream, p_act_id, p_act_who, p_act_action, p_act_reason, p_act_subject, p_act_token,
                        p_act_address, p_act_request, p_act_before, p_act_after)
                AS a (stream, id, who, action, reason, subject, token, address, request, before, after)
            JOIN unnest(p_stream, p_version, p_recorded_at, p_key) AS i (stream, version, recorded_at, key) USING (stream)
            WHERE a.stream = ANY (v_inserted);
    END IF;

    IF cardinality(v_inserted) = cardinality(p_stream) THEN
        RETURN;
    END IF;
    -- A key stays only together with the first row of its stream.
    DELETE FROM stream_keys k USING unnest(p_new_category, p_new_key, p_stream) AS i (category, key, stream)
        WHERE k.category = i.category AND k.key = i.key AND k.stream = i.stream
          AND i.stream = ANY (v_taken) AND i.stream <> ALL (coalesce(v_inserted, '{}'));
    -- For each append that was not written: it was committed before under the same append id, or the first reason
    -- against it.
    RETURN QUERY
        SELECT i.position,
               CASE WHEN j.append_id = i.append_id THEN 0
                    WHEN e.shard IS NULL THEN 3
                    WHEN i.payload_hash IS NOT NULL AND k.stream <> i.stream THEN 1
                    ELSE 2 END,
               k.stream, k.payload_hash
        FROM unnest(p_shard, p_epoch, p_append_id, p_stream, p_version, p_new_category, p_new_key, p_payload_hash)
                 WITH ORDINALITY AS i (shard, epoch, append_id, stream, version, category, key, payload_hash, position)
        LEFT JOIN shard_epochs e ON e.shard = i.shard AND e.epoch = i.epoch
        LEFT JOIN journal j ON j.stream = i.stream AND j.version = i.version AND j.stream BETWEEN p_first AND p_last
        LEFT JOIN stream_keys k ON k.category = i.category AND k.key = i.key AND i.payload_hash IS NOT NULL
        WHERE i.stream <> ALL (coalesce(v_inserted, '{}'));
END $$;

-- For engines of earlier builds, which run while an installation is upgraded.
CREATE OR REPLACE FUNCTION append_batch(
    p_shard integer[], p_epoch bigint[], p_append_id uuid[], p_stream uuid[], p_version integer[], p_recorded_at bigint[],
    p_payload bytea[], p_category text[], p_key text[], p_payload_hash bytea[], p_document text[],
    p_status text[], p_open boolean[], p_step text[], p_reason text[], p_started_at bigint[], p_waits_on text[],
    p_outline bytea[], p_flags text[], p_code text[], p_data_key bytea[], p_new_category text[], p_new_key text[],
    p_first uuid, p_last uuid,
    -- Of the appends that an act of a person made, which are few: by stream, and not by place in the batch.
    p_act_stream uuid[], p_act_id text[], p_act_who text[], p_act_action text[], p_act_reason text[]
) RETURNS TABLE (o_position bigint, o_answer integer, o_stream uuid, o_payload_hash bytea)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
        SELECT a.o_position, a.o_answer, a.o_stream, a.o_payload_hash
        FROM append_batch(p_shard, p_epoch, p_append_id, p_stream, p_version, p_recorded_at, p_payload, p_category, p_key, p_payload_hash,
                          p_document, p_status, p_open, p_step, p_reason, p_started_at, p_waits_on, p_outline, p_flags, p_code,
                          p_data_key, p_new_category, p_new_key, p_first, p_last,
                          p_act_stream, p_act_id, p_act_who, p_act_action, p_act_reason,
                          NULL, NULL, NULL, NULL, NULL, NULL) AS a;
END $$;

-- As in 0009, with more on record of the act.
CREATE FUNCTION erase_stream(
    p_shard integer[], p_epoch bigint[], p_append_id uuid[], p_stream uuid[], p_version integer[], p_recorded_at bigint[],
    p_payload bytea[], p_category text[], p_key text[], p_payload_hash bytea[], p_document text[],
    p_status text[], p_open boolean[], p_step text[], p_reason text[], p_started_at bigint[], p_waits_on text[],
    p_outline bytea[], p_flags text[], p_code text[], p_data_key bytea[], p_new_category text[], p_new_key text[],
    p_first uuid, p_last uuid,
    p_act_stream uuid[], p_act_id text[], p_act_who text[], p_act_action text[], p_act_reason text[],
    p_act_subject text[], p_act_token text[], p_act_address text[], p_act_request text[], p_act_before text[], p_act_after text[],
    p_versions integer[], p_payloads bytea[]
) RETURNS TABLE (o_position bigint, o_answer integer, o_stream uuid, o_payload_hash bytea)
LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM journal j WHERE j.stream = p_stream[1] AND j.version < p_version[1]) <> cardinality(p_versions) THEN
        RETURN QUERY SELECT 1::bigint, 2, NULL::uuid, NULL::bytea;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT a.o_position, a.o_answer, a.o_stream, a.o_payload_hash
        FROM append_batch(p_shard, p_epoch, p_append_id, p_stream, p_version, p_recorded_at, p_payload, p_category, p_key,
                          p_payload_hash, p_document, p_status, p_open, p_step, p_reason, p_started_at, p_waits_on, p_outline,
                          p_flags, p_code, p_data_key, p_new_category, p_new_key, p_first, p_last,
                          p_act_stream, p_act_id, p_act_who, p_act_action, p_act_reason,
                          p_act_subject, p_act_token, p_act_address, p_act_request, p_act_before, p_act_after) AS a;
    -- An answer means that the row was not written now. If an earlier try wrote it, that try did the rest, too.
    IF FOUND THEN
        RETURN;
    END IF;
    UPDATE journal j SET payload = r.payload, outline = NULL
        FROM unnest(p_versions, p_payloads) AS r (version, payload)
        WHERE j.stream = p_stream[1] AND j.version = r.version;
    DELETE FROM data_keys k WHERE k.stream = p_stream[1];
    DELETE FROM snapshots s WHERE s.stream = p_stream[1];
    UPDATE stream_keys k SET payload_hash = decode(repeat('00', 32), 'hex')
        WHERE k.category = p_category[1] AND k.key = p_key[1] AND k.stream = p_stream[1];
    UPDATE streams s SET erased_at = p_recorded_at[1] WHERE s.stream = p_stream[1];
    INSERT INTO archive_erasures (stream) VALUES (p_stream[1]) ON CONFLICT DO NOTHING;
END $$;

-- For engines of earlier builds.
CREATE OR REPLACE FUNCTION erase_stream(
    p_shard integer[], p_epoch bigint[], p_append_id uuid[], p_stream uuid[], p_version integer[], p_recorded_at bigint[],
    p_payload bytea[], p_category text[], p_key text[], p_payload_hash bytea[], p_document text[],
    p_status text[], p_open boolean[], p_step text[], p_reason text[], p_started_at bigint[], p_waits_on text[],
    p_outline bytea[], p_flags text[], p_code text[], p_data_key bytea[], p_new_category text[], p_new_key text[],
    p_first uuid, p_last uuid,
    p_act_stream uuid[], p_act_id text[], p_act_who text[], p_act_action text[], p_act_reason text[],
    p_versions integer[], p_payloads bytea[]
) RETURNS TABLE (o_position bigint, o_answer integer, o_stream uuid, o_payload_hash bytea)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
        SELECT a.o_position, a.o_answer, a.o_stream, a.o_payload_hash
        FROM erase_stream(p_shard, p_epoch, p_append_id, p_stream, p_version, p_recorded_at, p_payload, p_category, p_key, p_payload_hash,
                          p_document, p_status, p_open, p_step, p_reason, p_started_at, p_waits_on, p_outline, p_flags, p_code,
                          p_data_key, p_new_category, p_new_key, p_first, p_last,
                          p_act_stream, p_act_id, p_act_who, p_act_action, p_act_reason,
                          NULL, NULL, NULL, NULL, NULL, NULL, p_versions, p_payloads) AS a;
END $$;

-- As in 0009, with more on record of the act.
CREATE FUNCTION erase_archived(
    p_stream uuid, p_version integer, p_at bigint, p_category text, p_key text,
    p_who text, p_action text, p_reason text, p_id text, p_line bytea,
    p_subject text, p_token text, p_address text, p_request text, p_before text, p_after text
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM streams s WHERE s.stream = p_stream) THEN
        RETURN false;
    END IF;
    INSERT INTO acts (stream, version, at, key, who, action, reason, id, subject, token, address, request, before, after)
        VALUES (p_stream, p_version, p_at, p_key, p_who, p_action, p_reason, p_id,
                p_subject, p_token, p_address, p_request, p_before, p_after) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO archive_erasures AS e (stream, line) VALUES (p_stream, p_line)
        ON CONFLICT (stream) DO UPDATE SET line = excluded.line;
    DELETE FROM data_keys k WHERE k.stream = p_stream;
    UPDATE stream_keys k SET payload_hash = decode(repeat('00', 32), 'hex')
        WHERE k.category = p_category AND k.key = p_key AND k.stream = p_stream;
    RETURN true;
END $$;

-- For engines of earlier builds.
CREATE OR REPLACE FUNCTION erase_archived(
    p_stream uuid, p_version integer, p_at bigint, p_category text, p_key text,
    p_who text, p_action text, p_reason text, p_id text, p_line bytea
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RETURN erase_archived(p_stream, p_version, p_at, p_category, p_key, p_who, p_action, p_reason, p_id, p_line,
                          NULL, NULL, NULL, NULL, NULL, NULL);
END $$;
