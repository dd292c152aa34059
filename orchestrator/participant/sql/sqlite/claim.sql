-- Takes the database's one write lock, so whoever claims next waits for the end of this transaction.
INSERT INTO saga_commands (command_id, saga_id, step, direction, state)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (command_id) DO NOTHING
