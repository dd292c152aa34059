SELECT body FROM documents WHERE kind = $1 AND hash = $2
