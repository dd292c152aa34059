UPDATE projections SET is_live = 1
WHERE name = ?1 AND generation = ?2 AND problem IS NULL
  AND NOT EXISTS (SELECT 1 FROM projections p WHERE p.name = ?1 AND p.is_live AND p.generation > ?2)
