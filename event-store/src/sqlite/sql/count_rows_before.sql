SELECT count(*) AS "rows" FROM journal WHERE stream = ?1 AND version < ?2
