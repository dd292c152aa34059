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
