WITH removed AS (
    DELETE FROM dead_letters WHERE number IN (
        SELECT d.number
        FROM dead_letters d JOIN letter_logs l ON l.topic = d.topic AND l.partition = d.partition
        WHERE d.topic = $3 AND d.partition = $4 AND (d.log < l.log OR d.position < $5) AND d.written_at < $1
        ORDER BY d.number LIMIT $2)
    RETURNING edit_key
), keys AS (
    DELETE FROM data_keys k USING removed r WHERE k.stream = r.edit_key
)
SELECT count(*) AS removed FROM removed
