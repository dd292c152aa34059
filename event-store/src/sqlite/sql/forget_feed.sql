DELETE FROM commits WHERE position <= ?1
