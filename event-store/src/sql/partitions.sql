SELECT from_ms, to_ms FROM partitions ORDER BY from_ms
