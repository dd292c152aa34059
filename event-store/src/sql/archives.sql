SELECT number, state, file, from_ms, to_ms, streams, row_count, dropped, bytes, sha256, categories, newest_ms, begun_ms, ended_ms,
       replaced
FROM archives
ORDER BY number
