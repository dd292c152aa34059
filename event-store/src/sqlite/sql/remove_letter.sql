DELETE FROM dead_letters WHERE number = ?1
