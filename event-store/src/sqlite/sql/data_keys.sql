-- ?1: ids as a JSON list of hexadecimal texts, because SQLite binds no lists.
SELECT stream, wrapped FROM data_keys WHERE stream IN (SELECT unhex(value) FROM json_each(?1))
