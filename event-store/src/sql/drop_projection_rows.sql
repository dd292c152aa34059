DELETE FROM projection_rows
WHERE name = $1 AND generation = $2
  AND row_key IN (SELECT r.row_key FROM projection_rows r WHERE r.name = $1 AND r.generation = $2 ORDER BY r.row_key LIMIT $3)
RETURNING 1 AS dropped
