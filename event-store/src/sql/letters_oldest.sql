ORDER BY d.number
LIMIT $15
