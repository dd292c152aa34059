UPDATE projections SET position = ?4, at = coalesce(?5, at)
WHERE name = ?1 AND generation = ?2 AND position = ?3 AND problem IS NULL
