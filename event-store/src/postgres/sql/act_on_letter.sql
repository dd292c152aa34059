-- The status is compared again after the wait for another act on the letter.
WITH found AS (
    -- Locked, so that the status is the one before this act.
    SELECT d.number, d.edit_key, d.status
    FROM dead_letters d JOIN letter_logs l ON l.topic = d.topic AND l.partition = d.partition AND l.log = d.log
    WHERE d.topic = $1 AND d.partition = $2 AND d.position = $3
    FOR UPDATE OF d
), earlier AS (
    SELECT 1 AS one FROM letter_acts a JOIN found f ON a.letter = f.number WHERE a.act_id = $4
), changed AS (
    UPDATE dead_letters d
    SET status = $6, changed_at = $7, who = $8, why = $9, result = $10, redrives = d.redrives + $11,
        edit = CASE WHEN $12 THEN $13 ELSE d.edit END, edit_key = CASE WHEN $12 THEN $14 ELSE d.edit_key END
    FROM found f
    WHERE d.number = f.number AND d.status = ANY ($5::text[]) AND NOT EXISTS (SELECT FROM earlier)
    RETURNING d.number, d.topic, d.partition, d.position, d.id, f.status AS before
), recorded AS (
    INSERT INTO letter_acts (letter, at, topic, partition, position, id, who, action, why, result, act_id,
                             subject, token, address, request, before, after)
        SELECT number, $7, topic, partition, position, id, $8, $15, $9, $10, $4, $17, $18, $19, $20,
               to_json(before)::text, to_json($6::text)::text
        FROM changed
), unkeyed AS (
    DELETE FROM data_keys k USING found f, changed c WHERE $12 AND k.stream = f.edit_key
), keyed AS (
    INSERT INTO data_keys (stream, wrapped) SELECT $14, $16 FROM changed WHERE $16 IS NOT NULL
)
SELECT (SELECT count(*) FROM changed) AS changed, (SELECT count(*) FROM earlier) AS earlier,
    (SELECT d.status FROM dead_letters d JOIN found f ON d.number = f.number) AS status
