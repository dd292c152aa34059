SELECT version FROM snapshots WHERE stream = ?1
