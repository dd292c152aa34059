DELETE FROM archive_erasures WHERE stream = ?1
