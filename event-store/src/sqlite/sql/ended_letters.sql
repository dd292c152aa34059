SELECT number, edit_key FROM dead_letters
WHERE status IN ('redriven', 'discarded') AND changed_at < ?1
ORDER BY number LIMIT ?2
