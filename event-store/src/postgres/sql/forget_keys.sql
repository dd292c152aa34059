WITH looked_at AS (
    SELECT category, key, stream
    FROM stream_keys
    WHERE category = $1 AND key > $2
    ORDER BY key
    LIMIT $4
), forgotten AS (
    DELETE FROM stream_keys k
    USING looked_at l LEFT JOIN streams s ON s.stream = l.stream
    WHERE k.category = l.category AND k.key = l.key AND k.stream = l.stream
      -- A stream that has left ended before the last change of those that left with it.
      AND CASE WHEN s.stream IS NOT NULL THEN NOT s.open AND s.updated_at < $3
               ELSE (SELECT max(a.newest_ms) FROM archives a
                     WHERE a.state <> 'writing' AND l.stream >= first_stream(a.from_ms) AND l.stream < first_stream(a.to_ms)) < $3
                    AND NOT EXISTS (SELECT FROM journal j WHERE j.stream = l.stream) END
    RETURNING 1
)
SELECT (SELECT count(*) FROM forgotten) AS forgotten,
       (SELECT count(*) FROM looked_at) AS looked_at,
       (SELECT max(key) FROM looked_at) AS last_key
