-- What has left the store. A row with the state `writing` is an attempt: the streams are still here, and a file of this
-- name is thrown away. From `removing` on the file is whole, and its streams are being deleted here. With `done` they
-- are gone from here.
CREATE TABLE archives (
    number     bigint PRIMARY KEY,
    state      text   NOT NULL CHECK (state IN ('writing', 'removing', 'done')),
    -- The name of the file in the folder of archives; null: the streams were dropped.
    file       text,
    -- The period of the starts: from, and before.
    from_ms    bigint NOT NULL,
    to_ms      bigint NOT NULL,
    streams    bigint NOT NULL DEFAULT 0,
    row_count  bigint NOT NULL DEFAULT 0,
    -- Streams that left without a file.
    dropped    bigint NOT NULL DEFAULT 0,
    bytes      bigint NOT NULL DEFAULT 0,
    sha256     text,
    categories text   NOT NULL DEFAULT '',
    -- The last change of a stream that left.
    newest_ms  bigint,
    -- By the clock of the writer.
    begun_ms   bigint NOT NULL,
    ended_ms   bigint
);

-- One process at a time archives, and renews this while it works.
CREATE TABLE archive_lease (
    one    boolean     PRIMARY KEY DEFAULT true CHECK (one),
    holder uuid        NOT NULL,
    until  timestamptz NOT NULL
);

-- Streams of a watched partition that got rows since.
CREATE TABLE late_streams (stream uuid PRIMARY KEY);

CREATE FUNCTION note_late_stream() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO late_streams (stream) VALUES (NEW.stream) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

-- From its commit on each new or changed row of the partition leaves its stream in late_streams. Waits for appends to
-- the partition that are under way.
CREATE FUNCTION watch_partition(p_from bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_to bigint;
BEGIN
    PERFORM set_config('lock_timeout', '1s', true);
    SELECT to_ms INTO STRICT v_to FROM partitions WHERE from_ms = p_from;
    EXECUTE format('DROP TRIGGER IF EXISTS late_stream ON %I', 'journal_p' || p_from);
    EXECUTE format('CREATE TRIGGER late_stream AFTER INSERT OR UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION note_late_stream()',
                   'journal_p' || p_from);
    DELETE FROM late_streams WHERE stream >= first_stream(p_from) AND stream < first_stream(v_to);
    -- The rows that stay move to the partitions before. With these constraints their new bounds need no scan.
    ALTER TABLE journal_old DROP CONSTRAINT IF EXISTS before_next;
    ALTER TABLE streams_old DROP CONSTRAINT IF EXISTS before_next;
    EXECUTE format('ALTER TABLE journal_old ADD CONSTRAINT before_next CHECK (stream < %L) NOT VALID', first_stream(v_to));
    EXECUTE format('ALTER TABLE streams_old ADD CONSTRAINT before_next CHECK (stream < %L) NOT VALID', first_stream(v_to));
END $$;

-- Proves the constraints of watch_partition, without keeping anybody waiting.
CREATE FUNCTION check_old_partitions() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE journal_old VALIDATE CONSTRAINT before_next;
    ALTER TABLE streams_old VALIDATE CONSTRAINT before_next;
END $$;

-- Takes the oldest partition out, with all streams but those that stay, and records the archive: in one transaction.
-- Returns `done`; `changed`: a stream that was to leave has got rows, and nothing is changed here; `lost`: another
-- process took the attempt or the partition over.
CREATE FUNCTION detach_partition(
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
    DELETE FROM partitions WHERE from_ms = p_from;
    RETURN 'done';
END $$;

-- Deletes streams of one shard that have ended and are in the archive as they are: their last version is the given one.
-- Returns how many were deleted. Appends of the shard wait: one that
-- comes first changes the version, one that comes later finds no stream.
CREATE FUNCTION remove_archived(
    p_number bigint, p_shard integer, p_stream uuid[], p_version integer[], p_first uuid, p_last uuid
) RETURNS bigint
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_removed bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1396786001, p_shard);
    IF NOT EXISTS (SELECT FROM archives WHERE number = p_number AND state = 'removing') THEN
        RETURN 0;
    END IF;
    WITH leaving AS (
        SELECT i.stream
        FROM unnest(p_stream, p_version) AS i (stream, version)
        JOIN streams s ON s.stream = i.stream AND s.stream = ANY (p_stream)
        WHERE NOT s.open
          AND i.version = (SELECT j.version FROM journal j
                           WHERE j.stream = i.stream AND j.stream BETWEEN p_first AND p_last
                           ORDER BY j.version DESC LIMIT 1)
    ), removed AS (
        DELETE FROM journal j WHERE j.stream = ANY (p_stream) AND j.stream IN (SELECT stream FROM leaving)
    ), shortened AS (
        DELETE FROM snapshots n WHERE n.stream = ANY (p_stream) AND n.stream IN (SELECT stream FROM leaving)
    ), hidden AS (
        DELETE FROM streams s WHERE s.stream = ANY (p_stream) AND s.stream IN (SELECT stream FROM leaving) RETURNING 1
    )
    SELECT count(*) INTO v_removed FROM hidden;
    RETURN v_removed;
END $$;
