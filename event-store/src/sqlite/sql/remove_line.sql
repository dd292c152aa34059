DELETE FROM streams WHERE stream = ?1
