-- Postgres knows the length of a value without loading it.
SELECT stream, sum(coalesce(octet_length(outline), octet_length(payload))) AS bytes
FROM journal
WHERE stream = ANY ($1)
GROUP BY stream
ORDER BY stream
