SELECT watch_partition($1)
