SELECT state, answer, attempt FROM saga_commands WHERE command_id = $1 FOR UPDATE
