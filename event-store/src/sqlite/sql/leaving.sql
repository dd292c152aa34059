WHERE stream >= ?1 AND stream < ?2 AND stream > ?3 AND open = 0 AND category = ?4 AND updated_at < ?5 AND stream < ?6
ORDER BY stream
LIMIT ?7
