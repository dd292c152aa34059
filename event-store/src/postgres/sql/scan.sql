-- Postgres knows the length of a payload without loading it.
SELECT stream, version::bigint AS version, recorded_at, append_id, payload
FROM (
    SELECT stream, version, recorded_at, append_id, payload,
           sum(octet_length(payload)) OVER (ORDER BY stream, version) - octet_length(payload) AS bytes_before
    FROM (
        SELECT * FROM journal
        -- The first condition leaves out older partitions.
        WHERE stream >= $1 AND (stream, version) > ($1, $2::integer)
        ORDER BY stream, version
        LIMIT $3
    ) AS page
) AS measured
WHERE bytes_before < $4
ORDER BY stream, measured.version
