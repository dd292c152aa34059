INSERT INTO acts (stream, version, at, key, who, action, reason, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
