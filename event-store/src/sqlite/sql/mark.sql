UPDATE streams SET status = ?3, reason = ?4, updated_at = ?5, code = ?6
WHERE stream = ?2 AND shard = ?1 AND open
    AND (status IS NOT ?3 OR reason IS NOT ?4 OR code IS NOT ?6)
