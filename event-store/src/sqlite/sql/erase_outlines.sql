DELETE FROM journal_outlines WHERE stream = ?1
