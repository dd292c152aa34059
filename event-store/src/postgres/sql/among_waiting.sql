-- $6: one of the terms that wait_terms returns; null: the stream waits for anything.
WHERE waits_on IS NOT NULL AND ($6::text IS NULL OR wait_terms(waits_on) @> ARRAY[$6])
