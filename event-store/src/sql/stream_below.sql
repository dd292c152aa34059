SELECT stream FROM streams
WHERE $1 IS NULL OR stream < $1
ORDER BY stream DESC
LIMIT 1 OFFSET $2
