SELECT claim_shard($1, $2, $3) AS epoch
