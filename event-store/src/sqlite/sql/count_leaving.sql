SELECT count(*) AS streams
FROM streams
WHERE stream >= ?1 AND stream < ?2 AND open = 0 AND category = ?3 AND updated_at < ?4 AND stream < ?5
