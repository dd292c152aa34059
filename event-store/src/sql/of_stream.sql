WHERE stream = $1
