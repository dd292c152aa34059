DELETE FROM snapshots WHERE stream = ANY ($1) RETURNING stream
