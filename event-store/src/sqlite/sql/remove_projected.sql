DELETE FROM projection_rows WHERE name = ?1 AND generation = ?2 AND row_key = ?3
