WITH removed AS (
    DELETE FROM dead_letters WHERE number IN (
        SELECT number FROM dead_letters
        WHERE status IN ('redriven', 'discarded') AND changed_at < $1 ORDER BY number LIMIT $2)
    RETURNING edit_key
), keys AS (
    DELETE FROM data_keys k USING removed r WHERE k.stream = r.edit_key
)
SELECT count(*) AS removed FROM removed
