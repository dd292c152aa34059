SELECT append_id FROM journal WHERE stream = ?1 AND version = ?2
