UPDATE streams SET erased_at = ?2 WHERE stream = ?1
