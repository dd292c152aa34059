-- The constraints enforce what the code relies on. Times are milliseconds since the Unix epoch by the clock of the
-- writer. The clock of the database decides nothing.

CREATE TABLE installation (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    id         uuid    NOT NULL,
    -- Never changes: the shard of a key and of a stream id follows from it.
    shards     integer NOT NULL CHECK (shards BETWEEN 1 AND 4096)
);

-- The fencing tokens. A claim raises the epoch under the exclusive advisory lock of its shard. Appends read it under
-- the shared lock.
CREATE TABLE shard_epochs (
    shard      integer PRIMARY KEY CHECK (shard BETWEEN 0 AND 4095),
    epoch      bigint  NOT NULL CHECK (epoch > 0),
    owner      text    NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now()
);

-- The rows of the streams, which are only appended. The one index is on ids that rise with time: a second index or
-- random ids would cost several times as much. Ids of streams begin with the time of their start, so the partitions are
-- periods of starts, and rows that leave the store leave it with their partition.
CREATE TABLE journal (
    stream      uuid    NOT NULL,
    version     integer NOT NULL CHECK (version > 0),
    append_id   uuid    NOT NULL,
    recorded_at bigint  NOT NULL,
    payload     bytea   NOT NULL,
    -- A shorter form of a large payload, for lists; null: the row is small, and lists read its payload. Postgres stores
    -- a large payload outside of its row and loads it only when a query reads it. A null column needs no space.
    outline     bytea,
    PRIMARY KEY (stream, version)
) PARTITION BY RANGE (stream);

-- Rows stay when streams are archived: a key that was used once stays taken.
CREATE TABLE stream_keys (
    category     text  NOT NULL,
    key          text  NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 256),
    stream       uuid  NOT NULL,
    payload_hash bytea NOT NULL CHECK (octet_length(payload_hash) = 32),
    PRIMARY KEY (category, key)
);

-- The read model has one row for each stream. The transaction of a journal row writes it, and only if that row changes
-- it. Its partitions are those of the journal.
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
    -- What the stream waits for: each `kind:name`, ascending; null: nothing. It is in this row and not in a table of
    -- its own, so that appends of streams that do not wait have no cost for it.
    waits_on   text[],
    -- Words for what people should look at: `,overdue,undoGaveUp,`; null: none. Few streams have one, open or ended.
    flags      text,
    -- A word for what failed in a stream that is parked or compensates; null: nothing. Most streams never have one.
    code       text,
    -- When the content of the rows was erased; null: it is there.
    erased_at  bigint
) PARTITION BY RANGE (stream);

-- For recovery, which reads the open streams of one shard.
CREATE INDEX streams_open ON streams (shard, stream) WHERE open;
-- For lookups by business key, across categories.
CREATE INDEX streams_key ON streams (key);
-- The terms by which a query finds a waiting stream, each by equality: `kind:name`, `kind:` for all of a kind, `:name`
-- for all of a name.
CREATE FUNCTION wait_terms(p_waits_on text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT array_agg(t.term)
    FROM unnest(p_waits_on) AS w (word)
    CROSS JOIN LATERAL (VALUES (w.word), (split_part(w.word, ':', 1) || ':'), (':' || split_part(w.word, ':', 2))) AS t (term)
$$;

-- Few streams wait, have flags or have a code. Queries for them do not read the others.
CREATE INDEX streams_waiting ON streams (stream) WHERE waits_on IS NOT NULL;
-- Without a list of pending entries, which some append would have to empty at once.
CREATE INDEX streams_wait_terms ON streams USING gin (wait_terms(waits_on)) WITH (fastupdate = off) WHERE waits_on IS NOT NULL;
CREATE INDEX streams_flagged ON streams (stream) WHERE flags IS NOT NULL;
CREATE INDEX streams_failed ON streams (code, stream) WHERE code IS NOT NULL;

-- The periods that have partitions of journal and streams, without gaps: `journal_p<from_ms>` and `streams_p<from_ms>`.
-- Before the first one there are `journal_old` and `streams_old`, after the last one `journal_ahead` and
-- `streams_ahead`, so that every id has a place. There is no default partition: with one, Postgres could not read the
-- partitions one after the other, and a list of the newest streams would begin with the oldest too.
CREATE TABLE partitions (
    from_ms bigint PRIMARY KEY,
    to_ms   bigint NOT NULL CHECK (to_ms > from_ms)
);

-- The first id that a stream can have which started at this time.
CREATE FUNCTION first_stream(p_ms bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT rpad(lpad(to_hex(p_ms), 12, '0'), 32, '0')::uuid
$$;

-- Creates partitions of `p_width_ms` after the last one, until they reach `p_until_ms`. Returns how many were created.
-- Rows of these periods that were written meanwhile are moved to their partitions. Appends wait until this commits, and
-- this waits at most a second for them.
CREATE FUNCTION add_partitions(p_width_ms bigint, p_until_ms bigint) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_from   bigint;
    v_begun  bigint;
    v_to     bigint;
    v_table  text;
    v_name   text;
    v_count  integer := 0;
    v_option text;
BEGIN
    -- One at a time. Who comes second finds the partitions of the first.
    PERFORM pg_advisory_xact_lock(1396786003, 1);
    SELECT max(to_ms) INTO v_begun FROM partitions;
    IF v_begun >= p_until_ms THEN
        RETURN 0;
    END IF;
    PERFORM set_config('lock_timeout', '1s', true);
    LOCK TABLE journal, streams IN ACCESS EXCLUSIVE MODE;
    FOREACH v_table IN ARRAY ARRAY['journal', 'streams'] LOOP
        v_option := CASE v_table WHEN 'streams' THEN 'WITH (fillfactor = 80)' ELSE '' END;
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', v_table, v_table || '_ahead');
        v_from := v_begun;
        WHILE v_from < p_until_ms LOOP
            v_to := (v_from / p_width_ms + 1) * p_width_ms;
            v_name := v_table || '_p' || v_from;
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L) %s',
                           v_name, v_table, first_stream(v_from), first_stream(v_to), v_option);
            EXECUTE format('WITH moved AS (DELETE FROM %I WHERE stream < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
                           v_table || '_ahead', first_stream(v_to), v_name);
            IF v_table = 'journal' THEN
                INSERT INTO partitions (from_ms, to_ms) VALUES (v_from, v_to);
                v_count := v_count + 1;
            END IF;
            v_from := v_to;
        END LOOP;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (MAXVALUE)',
                       v_table, v_table || '_ahead', first_stream(v_from));
    END LOOP;
    RETURN v_count;
END $$;

-- The first partitions: weeks from now on.
DO $$
DECLARE
    v_week  bigint := 7 * 86400000;
    v_first bigint := (extract(epoch FROM now()) * 1000)::bigint / v_week * v_week;
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['journal', 'streams'] LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (MINVALUE) TO (%L)',
                       v_table || '_old', v_table, first_stream(v_first));
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                       v_table || '_p' || v_first, v_table, first_stream(v_first), first_stream(v_first + v_week));
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (MAXVALUE)',
                       v_table || '_ahead', v_table, first_stream(v_first + v_week));
    END LOOP;
    ALTER TABLE streams_old SET (fillfactor = 80);
    EXECUTE format('ALTER TABLE %I SET (fillfactor = 80)', 'streams_p' || v_first);
    INSERT INTO partitions (from_ms, to_ms) VALUES (v_first, v_first + v_week);
    PERFORM add_partitions(v_week, v_first + 5 * v_week);
END $$;

CREATE TABLE documents (
    kind text NOT NULL,
    hash text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (kind, hash)
);

-- Until when the owner of a shard attended to it, by its clock. Not in shard_epochs: every append reads those rows, and
-- these change every few seconds.
CREATE TABLE shard_attendance (
    shard integer PRIMARY KEY CHECK (shard BETWEEN 0 AND 4095),
    until bigint  NOT NULL
) WITH (fillfactor = 50);

-- Periods without an owner. A row is deleted when all open streams are younger.
CREATE TABLE shard_gaps (
    shard    integer NOT NULL,
    began_at bigint  NOT NULL,
    ended_at bigint  NOT NULL CHECK (ended_at > began_at),
    PRIMARY KEY (shard, began_at)
);

-- Marks of the processes that write. A new mark proves that writes work. If the database loses commits, the last mark
-- that it has shows how far its state goes.
CREATE TABLE heartbeats (
    writer uuid   PRIMARY KEY,
    owner  text   NOT NULL,
    number bigint NOT NULL,
    -- By the clock of the writer.
    at     bigint NOT NULL,
    -- By the clock of the database, only to delete marks of processes that stopped days ago.
    seen   timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Append-only logs of small texts, one for each topic.
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

-- Raises the epoch of one shard, also above `p_above`: a process can know a higher epoch than a database that lost
-- commits, and must not get the same epoch again.
CREATE FUNCTION claim_shard(p_shard integer, p_owner text, p_above bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_epoch bigint;
BEGIN
    -- Waits for the appends under older epochs that are under way: they hold the shared lock until they are committed.
    -- So none of them is committed after the new epoch is returned.
    PERFORM pg_advisory_xact_lock(1396786001, p_shard);
    INSERT INTO shard_epochs AS e (shard, epoch, owner) VALUES (p_shard, p_above + 1, p_owner)
        ON CONFLICT (shard) DO UPDATE
            SET epoch = greatest(e.epoch, p_above) + 1, owner = excluded.owner, claimed_at = now()
        RETURNING e.epoch INTO v_epoch;
    RETURN v_epoch;
END $$;

-- Appends a batch in one transaction and one round trip. Each array is a column of the batch. A null payload hash means
-- that the append takes no key, a null status that it does not change the read model. The key that an append takes can
-- be another one than the key of its stream: p_new_category and p_new_key name it. `p_first` and `p_last` are the
-- lowest and the highest stream of the batch: without them each statement would open all partitions. Returns a row for
-- each append that was not written now: 0 committed before, 1 duplicate key, 2 conflict, 3 fenced.
CREATE FUNCTION append_batch(
    p_shard integer[], p_epoch bigint[], p_append_id uuid[], p_stream uuid[], p_version integer[], p_recorded_at bigint[],
    p_payload bytea[], p_category text[], p_key text[], p_payload_hash bytea[], p_document text[],
    p_status text[], p_open boolean[], p_step text[], p_reason text[], p_started_at bigint[], p_waits_on text[],
    p_outline bytea[], p_flags text[], p_code text[], p_data_key bytea[], p_new_category text[], p_new_key text[],
    p_first uuid, p_last uuid,
    -- Of the appends that an act of a person made, which are few: by stream, and not by place in the batch.
    p_act_stream uuid[], p_act_id text[], p_act_who text[], p_act_action text[], p_act_reason text[]
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
        INSERT INTO acts (stream, version, at, key, who, action, reason, id)
            SELECT i.stream, i.version, i.recorded_at, i.key, a.who, a.action, a.reason, a.id
            FROM unnest(p_act_stream, p_act_id, p_act_who, p_act_action, p_act_reason) AS a (stream, id, who, action, reason)
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

-- Adds a note at the end of its topic, or returns the number that it has. The lock is held until the note is visible,
-- so notes of a topic become visible in the order of their numbers: a reader that has read up to a number has missed
-- none below it.
CREATE FUNCTION add_note(p_topic text, p_id uuid, p_at bigint, p_body text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1396786002, hashtext(p_topic));
    -- A statement of its own: its snapshot is taken after the lock and shows every note that the lock waited for.
    SELECT n.number INTO v_number FROM notes n WHERE n.topic = p_topic AND n.id = p_id;
    IF v_number IS NULL THEN
        INSERT INTO notes (topic, number, id, at, body)
            SELECT p_topic, coalesce(max(n.number), 0) + 1, p_id, p_at, p_body FROM notes n WHERE n.topic = p_topic
            RETURNING notes.number INTO v_number;
    END IF;
    RETURN v_number;
END $$;
