SELECT stream, category, key, document, status, step, reason, started_at, updated_at, waits_on, flags
FROM streams
WHERE (?1 = '' OR instr(?1, ',' || status || ',') > 0)
  AND (?2 IS NULL OR category = ?2)
  AND (?3 IS NULL OR key = ?3)
  AND (?4 IS NULL OR stream < ?4)
  AND (?6 IS NULL OR instr(waits_on, ?6) > 0)
  AND (?7 IS NULL OR instr(flags, ?7) > 0)
  AND (NOT ?8 OR flags IS NOT NULL)
ORDER BY stream DESC
LIMIT ?5
