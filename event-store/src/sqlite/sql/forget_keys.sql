DELETE FROM stream_keys
WHERE category = ?1 AND key > ?2 AND key <= ?3
  AND EXISTS (
      SELECT 1 FROM streams s WHERE s.stream = stream_keys.stream AND s.open = 0 AND s.updated_at < ?4
  )
