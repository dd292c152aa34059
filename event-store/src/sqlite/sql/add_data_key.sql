INSERT INTO data_keys (stream, wrapped) VALUES (?1, ?2)
