WITH changed AS (
    UPDATE data_keys k SET wrapped = n.now
    FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS n (stream, before, now)
    WHERE k.stream = n.stream AND k.wrapped = n.before
    RETURNING 1
)
SELECT count(*) AS changed FROM changed
