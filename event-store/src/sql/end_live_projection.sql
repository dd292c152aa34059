UPDATE projections SET is_live = false WHERE name = $1 AND is_live AND generation < $2
