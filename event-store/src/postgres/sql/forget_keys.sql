WITH looked_at AS (
    SELECT category, key, stream
    FROM stream_keys
    WHERE category = $1 AND key > $2
    ORDER BY key
    LIMIT $4
), forgotten AS (
    DELETE FROM stream_keys k
    USING looked_at l JOIN streams s ON s.stream = l.stream
    WHERE k.category = l.category AND k.key = l.key AND k.stream = l.stream AND NOT s.open AND s.updated_at < $3
    RETURNING 1
)
SELECT (SELECT count(*) FROM forgotten) AS forgotten,
       (SELECT count(*) FROM looked_at) AS looked_at,
       (SELECT max(key) FROM looked_at) AS last_key
