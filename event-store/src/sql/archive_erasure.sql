SELECT stream, line FROM archive_erasures WHERE stream = $1
