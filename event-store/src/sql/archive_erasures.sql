SELECT stream, line
FROM archive_erasures
WHERE stream > $1
ORDER BY stream
LIMIT $2
