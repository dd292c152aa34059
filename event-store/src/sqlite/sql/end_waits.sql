DELETE FROM stream_waits WHERE stream = ?1
