SELECT stream FROM journal WHERE stream > $1 ORDER BY stream LIMIT 1
