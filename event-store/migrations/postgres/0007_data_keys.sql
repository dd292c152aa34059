-- The keys that seal the rows of streams, each wrapped by a key-encryption key from the configuration. A stream that
-- began without encryption has none, and so has one that was erased.
CREATE TABLE data_keys (
    stream  uuid  PRIMARY KEY,
    -- A format number, the id of the key that wraps it (8 bytes), a nonce (12), the wrapped key (32) and its tag (16).
    wrapped bytea NOT NULL CHECK (octet_length(wrapped) > 9)
);

-- Ids of the key-encryption keys that data keys may need. An engine without one of them does not start.
CREATE TABLE key_encryption_keys (
    id text PRIMARY KEY CHECK (octet_length(id) = 16)
);
