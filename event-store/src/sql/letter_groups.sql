SELECT d.fingerprint, d.code, d.definition, d.origin_topic, min(d.message) AS message, count(*) AS letters,
    count(*) FILTER (WHERE d.status IN ('new', 'reviewing')) AS open,
    min(d.written_at) AS first_at, max(d.written_at) AS last_at,
    count(*) FILTER (WHERE d.written_at >= $2) AS recent,
    count(*) FILTER (WHERE d.written_at >= $3 AND d.written_at < $2) AS before
FROM dead_letters d JOIN letter_logs l ON l.topic = d.topic AND l.partition = d.partition AND l.log = d.log
WHERE ($1 IS NULL OR d.topic = $1)
GROUP BY d.fingerprint, d.code, d.definition, d.origin_topic
ORDER BY letters DESC, d.fingerprint
LIMIT $4
