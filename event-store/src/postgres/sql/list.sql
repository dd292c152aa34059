SELECT stream, category, key, document, status, step, reason, started_at, updated_at, waits_on, flags
FROM streams
WHERE (cardinality($1::text[]) = 0 OR status = ANY ($1))
  AND ($2::text IS NULL OR category = $2)
  AND ($3::text IS NULL OR key = $3)
  AND ($4::uuid IS NULL OR stream < $4)
  AND ($6::text IS NULL OR strpos(waits_on, $6) > 0)
  AND ($7::text IS NULL OR strpos(flags, $7) > 0)
  AND (NOT $8::boolean OR flags IS NOT NULL)
ORDER BY stream DESC
LIMIT $5
