SELECT stream, wrapped FROM data_keys WHERE stream = ANY ($1)
