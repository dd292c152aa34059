DELETE FROM journal WHERE stream = ?1
