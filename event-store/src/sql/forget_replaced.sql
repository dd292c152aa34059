UPDATE archives SET replaced = NULL WHERE number = $1 AND replaced = $2
