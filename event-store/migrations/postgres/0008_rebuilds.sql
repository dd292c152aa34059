-- Writes the row of a stream in the read model as the rows of the stream up to p_version say it. Returns false and
-- changes nothing if the last row has another version.
CREATE FUNCTION repair_stream(
    p_shard integer, p_stream uuid, p_version bigint, p_category text, p_key text, p_document text, p_status text,
    p_open boolean, p_step text, p_reason text, p_started_at bigint, p_updated_at bigint, p_waits_on text, p_flags text,
    p_code text, p_erased_at bigint
) RETURNS boolean
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    -- Waits for the appends of the shard that are under way, and appends wait for this. So what is written here is
    -- older than every row that follows.
    PERFORM pg_advisory_xact_lock(1396786001, p_shard);
    -- A statement of its own: its snapshot is taken after the lock and shows every append that the lock waited for.
    IF p_version IS DISTINCT FROM (SELECT max(j.version) FROM journal j WHERE j.stream = p_stream) THEN
        RETURN false;
    END IF;
    INSERT INTO streams AS s
            (stream, shard, category, key, document, status, open, step, reason, started_at, updated_at, waits_on, flags, code, erased_at)
        VALUES (p_stream, p_shard, p_category, p_key, p_document, p_status, p_open, p_step, p_reason, p_started_at, p_updated_at,
                string_to_array(p_waits_on, ','), p_flags, p_code, p_erased_at)
        ON CONFLICT (stream) DO UPDATE SET shard = excluded.shard, category = excluded.category, key = excluded.key,
            document = excluded.document, status = excluded.status, open = excluded.open, step = excluded.step,
            reason = excluded.reason, started_at = excluded.started_at, updated_at = excluded.updated_at,
            waits_on = excluded.waits_on, flags = excluded.flags, code = excluded.code, erased_at = excluded.erased_at;
    -- Whoever writes an archive has read which streams have ended, perhaps before this.
    IF EXISTS (SELECT FROM archives WHERE state = 'writing') THEN
        INSERT INTO late_streams (stream) VALUES (p_stream) ON CONFLICT DO NOTHING;
    END IF;
    RETURN true;
END $$;

ALTER TABLE projections
    -- How far the rows are made of archive files. `3 12 <id>`: those up to archive 3 have been read, the ones after it
    -- up to archive 12 are read up to this stream; `12`: those up to archive 12 have been read; null: none is read.
    ADD COLUMN archives text,
    -- Which archives the rows lack, and why, for people; null: none.
    ADD COLUMN left_out text;
