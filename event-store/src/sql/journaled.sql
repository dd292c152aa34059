SELECT s.stream, EXISTS (SELECT 1 FROM journal j WHERE j.stream = s.stream) AS has_rows
FROM streams s
WHERE s.stream > $1
ORDER BY s.stream
LIMIT $2
