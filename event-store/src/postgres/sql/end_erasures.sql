DELETE FROM archive_erasures WHERE stream = ANY ($1)
