UPDATE data_keys SET wrapped = ?3 WHERE stream = ?1 AND wrapped = ?2
