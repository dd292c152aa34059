INSERT INTO acts (stream, version, at, key, who, action, reason, id, subject, token, address, request, before, after)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
