SELECT row_key, body FROM projection_rows
WHERE name = ?1 AND generation = ?2 AND row_key IN (SELECT value FROM json_each(?3))
