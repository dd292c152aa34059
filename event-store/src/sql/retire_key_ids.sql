DELETE FROM key_encryption_keys WHERE id <> $1
