SELECT number, id, at, body
FROM notes
WHERE topic = $1 AND number > $2
ORDER BY number
LIMIT $3
