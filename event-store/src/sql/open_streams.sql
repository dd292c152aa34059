SELECT stream
FROM streams
WHERE shard = $1 AND open AND stream > $2
ORDER BY stream
LIMIT $3
