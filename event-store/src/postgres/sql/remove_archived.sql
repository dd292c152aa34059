SELECT remove_archived($1, $2, $3, $4, $5, $6) AS removed
