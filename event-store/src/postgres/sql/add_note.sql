SELECT add_note($1, $2, $3, $4) AS number
