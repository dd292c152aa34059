SELECT id, CAST(shards AS bigint) AS shards FROM installation
