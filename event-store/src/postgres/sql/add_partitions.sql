SELECT add_partitions($1, $2) AS added
