WHERE stream = ANY ($1)
