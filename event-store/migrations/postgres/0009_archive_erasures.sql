-- The file that the file of an archive replaces, until it is removed: a saga in it was erased.
ALTER TABLE archives ADD COLUMN replaced text;

-- Erased streams of which a file of an archive may still have content. A pass over the archives writes such files anew
-- and removes the row when no file has content of the stream any more. Each erasure leaves a row, also of a stream that
-- is in the store: a pass that is under way may have read the stream before.
CREATE TABLE archive_erasures (
    stream uuid PRIMARY KEY,
    -- The stream without its content, as a line of an archive file; null: it is in the store.
    line   bytea
);

-- Records the erasure of a stream that has left the store: its act, that its files are to be written anew, and nothing
-- of what could open their copies. Returns whether it was recorded now; if not, an act of that version is on record, or
-- the stream is in the store.
CREATE FUNCTION erase_archived(
    p_stream uuid, p_version integer, p_at bigint, p_category text, p_key text,
    p_who text, p_action text, p_reason text, p_id text, p_line bytea
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM streams s WHERE s.stream = p_stream) THEN
        RETURN false;
    END IF;
    INSERT INTO acts (stream, version, at, key, who, action, reason, id)
        VALUES (p_stream, p_version, p_at, p_key, p_who, p_action, p_reason, p_id) ON CONFLICT DO NOTHING;
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

-- As in 0007, and its files are to be written anew.
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
    IF (SELECT count(*) FROM journal j WHERE j.stream = p_stream[1] AND j.version < p_version[1]) <> cardinality(p_versions) THEN
        RETURN QUERY SELECT 1::bigint, 2, NULL::uuid, NULL::bytea;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT a.o_position, a.o_answer, a.o_stream, a.o_payload_hash
        FROM append_batch(p_shard, p_epoch, p_append_id, p_stream, p_version, p_recorded_at, p_payload, p_category, p_key,
                          p_payload_hash, p_document, p_status, p_open, p_step, p_reason, p_started_at, p_waits_on, p_outline,
                          p_flags, p_code, p_data_key, p_new_category, p_new_key, p_first, p_last,
                          p_act_stream, p_act_id, p_act_who, p_act_action, p_act_reason) AS a;
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

-- As in 0006, without a record of a period of which nothing left.
CREATE OR REPLACE FUNCTION detach_partition(
    p_number bigint, p_from bigint, p_kept uuid[], p_file text, p_streams bigint, p_row_count bigint, p_dropped bigint,
    p_bytes bigint, p_sha256 text, p_categories text, p_newest bigint, p_ended bigint
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_to    bigint;
    v_table text;
BEGIN
    PERFORM pg_advisory_xact_lock(1396786003, 1);
    PERFORM set_config('lock_timeout', '1s', true);
    LOCK TABLE journal, streams IN ACCESS EXCLUSIVE MODE;
    SELECT to_ms INTO v_to FROM partitions WHERE from_ms = p_from AND p_from = (SELECT min(from_ms) FROM partitions);
    IF v_to IS NULL THEN
        RETURN 'lost';
    END IF;
    IF EXISTS (SELECT FROM late_streams l WHERE l.stream >= first_stream(p_from) AND l.stream < first_stream(v_to)
                 AND l.stream <> ALL (p_kept)) THEN
        RETURN 'changed';
    END IF;
    UPDATE archives SET state = 'done', file = p_file, streams = p_streams, row_count = p_row_count, dropped = p_dropped,
            bytes = p_bytes, sha256 = p_sha256, categories = p_categories, newest_ms = p_newest, ended_ms = p_ended
        WHERE number = p_number AND state = 'writing';
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    FOREACH v_table IN ARRAY ARRAY['journal', 'streams'] LOOP
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', v_table, v_table || '_old');
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', v_table, v_table || '_p' || p_from);
        EXECUTE format('INSERT INTO %I SELECT * FROM %I WHERE stream = ANY ($1)', v_table || '_old', v_table || '_p' || p_from)
            USING p_kept;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)',
                       v_table, v_table || '_old', first_stream(v_to));
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT IF EXISTS before_next', v_table || '_old');
        EXECUTE format('DROP TABLE %I', v_table || '_p' || p_from);
    END LOOP;
    DELETE FROM snapshots WHERE stream >= first_stream(p_from) AND stream < first_stream(v_to) AND stream <> ALL (p_kept);
    DELETE FROM late_streams WHERE stream >= first_stream(p_from) AND stream < first_stream(v_to);
    -- A period of which nothing left needs no record.
    IF p_streams = 0 AND p_dropped = 0 THEN
        DELETE FROM archives WHERE number = p_number;
    END IF;
    DELETE FROM partitions WHERE from_ms = p_from;
    RETURN 'done';
END $$;
