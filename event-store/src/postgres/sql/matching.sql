  AND ($1 IS NULL OR status = ANY (string_to_array($1, ',')))
  AND ($7 IS NULL OR strpos(flags, $7) > 0)
  AND ($11 IS NULL OR starts_with(document, $11))
