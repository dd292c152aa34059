-- Waits for another transaction that claims the same command: if that commits, the row is its; if it rolls back, it is ours.
INSERT INTO saga_commands (command_id, saga_id, step, direction, state)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (command_id) DO NOTHING
