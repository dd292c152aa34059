SELECT result, code, message FROM answers WHERE command = ?1
