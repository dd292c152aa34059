  AND ($1 IS NULL OR instr(',' || $1 || ',', ',' || status || ',') > 0)
  AND ($7 IS NULL OR instr(flags, $7) > 0)
  AND ($11 IS NULL OR substr(document, 1, length($11)) = $11)
