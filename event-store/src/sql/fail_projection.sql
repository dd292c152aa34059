UPDATE projections SET problem = $3 WHERE name = $1 AND generation = $2
