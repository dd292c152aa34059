SELECT id FROM key_encryption_keys ORDER BY id
