SELECT row_key, body FROM projection_rows
WHERE name = $1 AND generation = $2 AND row_key >= $3 AND row_key < $4 AND row_key > $5
ORDER BY row_key LIMIT $6
