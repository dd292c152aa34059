-- $6: one of the terms that such streams are looked for by; null: any.
WHERE waits_on IS NOT NULL AND ($6::text IS NULL OR wait_terms(waits_on) @> ARRAY[$6])
