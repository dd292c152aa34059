-- Postgres knows the length of a payload without loading it.
SELECT stream, sum(octet_length(payload)) AS bytes
FROM journal
WHERE stream = ANY ($1)
GROUP BY stream
ORDER BY stream
