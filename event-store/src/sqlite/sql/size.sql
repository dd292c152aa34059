SELECT coalesce(sum(length(payload)), 0) AS bytes FROM journal WHERE stream = ?1
