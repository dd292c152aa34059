INSERT INTO answers (command, result, code, message) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (command) DO UPDATE SET result = excluded.result, code = excluded.code, message = excluded.message
WHERE answers.result IS NULL
