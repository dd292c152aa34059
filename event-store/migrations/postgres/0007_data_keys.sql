-- The keys that seal the rows of streams, each wrapped by a key-encryption key from the configuration. A stream that
-- began without encryption has none, and so has one that was erased.
CREATE TABLE data_keys (
    stream  uuid  PRIMARY KEY,
    -- A format number, the id of the key that wraps it (8 bytes), a nonce (12), the wrapped key (32) and its tag (16).
    wrapped bytea NOT NULL CHECK (octet_length(wrapped) > 9)
);

-- Ids of the key-encryption keys that data keys may need. An engine without one of them does not start.
CREATE TABLE key_encryption_keys (
    id text PRIMARY KEY CHECK (octet_length(id) = 16)
);

-- Appends the row that records the erasure of a stream, which is a batch of one, and takes the content out of all rows
-- before it: p_payloads are the rows p_versions as they read from then on. One transaction: the row is there and the
-- content is not, or nothing has changed. Answers as append_batch.
CREATE FUNCTION erase_stream(
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
END $$;
