UPDATE projections SET position = ?4, at = coalesce(?5, at), archives = ?7, left_out = coalesce(?8, left_out)
WHERE name = ?1 AND generation = ?2 AND position = ?3 AND archives IS ?6 AND problem IS NULL
