SELECT 1 AS one
WHERE NOT EXISTS (SELECT 1 FROM streams WHERE stream = ?1)
  AND NOT EXISTS (SELECT 1 FROM acts WHERE stream = ?1 AND version = ?2)
