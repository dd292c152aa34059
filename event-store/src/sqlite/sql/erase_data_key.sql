DELETE FROM data_keys WHERE stream = ?1
