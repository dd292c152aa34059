SELECT switch_projection($1, $2) AS switched
