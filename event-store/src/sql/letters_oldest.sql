ORDER BY d.number
LIMIT $14
