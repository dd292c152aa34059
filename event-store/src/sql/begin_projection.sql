INSERT INTO projections (name, generation, code_version, is_live, position, archives, left_out)
SELECT $1, coalesce(max(generation), 0) + 1, $2, false, $3, $4, $5 FROM projections WHERE name = $1
HAVING NOT coalesce(max(CASE WHEN NOT is_live AND problem IS NULL AND code_version = $2 THEN 1 ELSE 0 END), 0) = 1
ON CONFLICT DO NOTHING
