UPDATE journal SET payload = ?3 WHERE stream = ?1 AND version = ?2
