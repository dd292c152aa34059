SELECT 1 FROM journal WHERE stream = ?1 AND version = ?2 AND append_id = ?3
