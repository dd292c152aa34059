SELECT number FROM notes WHERE topic = ?1 AND id = ?2
