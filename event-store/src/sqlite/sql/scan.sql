-- SQLite knows the length of a payload without loading it.
SELECT stream, version, recorded_at, append_id, payload
FROM (
    SELECT stream, version, recorded_at, append_id, payload,
           sum(length(payload)) OVER (ORDER BY stream, version) - length(payload) AS bytes_before
    FROM (SELECT * FROM journal WHERE (stream, version) > (?1, ?2) ORDER BY stream, version LIMIT ?3)
)
WHERE bytes_before < ?4
ORDER BY stream, version
