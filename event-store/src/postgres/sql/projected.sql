SELECT row_key, body FROM projection_rows
WHERE name = $1 AND generation = $2 AND row_key = ANY (ARRAY(SELECT json_array_elements_text($3::json)))
