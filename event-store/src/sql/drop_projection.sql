DELETE FROM projections
WHERE name = $1 AND generation = $2 AND NOT is_live
  AND NOT EXISTS (SELECT 1 FROM projection_rows r WHERE r.name = $1 AND r.generation = $2)
