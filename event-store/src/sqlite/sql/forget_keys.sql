DELETE FROM stream_keys
WHERE category = ?1 AND key > ?2 AND key <= ?3
  AND CASE WHEN EXISTS (SELECT 1 FROM streams s WHERE s.stream = stream_keys.stream)
      THEN EXISTS (SELECT 1 FROM streams s WHERE s.stream = stream_keys.stream AND s.open = 0 AND s.updated_at < ?4)
      -- A stream that has left ended before the last change of those that left with it. Ids begin with 12 digits of time.
      ELSE (SELECT max(a.newest_ms) FROM archives a
            WHERE a.state <> 'writing' AND substr(hex(stream_keys.stream), 1, 12) >= printf('%012X', a.from_ms)
              AND substr(hex(stream_keys.stream), 1, 12) < printf('%012X', a.to_ms)) < ?4
           AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.stream = stream_keys.stream) END
