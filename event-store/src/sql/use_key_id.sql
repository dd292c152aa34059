INSERT INTO key_encryption_keys (id) VALUES ($1) ON CONFLICT DO NOTHING
