-- The stream that a letter is about: that of a reply names it. Letters that are there already name none.
ALTER TABLE dead_letters ADD COLUMN stream BLOB;
CREATE INDEX dead_letters_stream ON dead_letters (stream, number) WHERE stream IS NOT NULL;
