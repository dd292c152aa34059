-- The marks of those who write: that a write works is proved by one. The last mark that is there also says how far the database's state
-- goes, should it once be older than what was committed.
CREATE TABLE heartbeats (
    writer uuid   PRIMARY KEY,
    owner  text   NOT NULL,
    number bigint NOT NULL,
    -- Milliseconds since the epoch, by the writer's clock.
    at     bigint NOT NULL,
    -- By the database's clock: whoever has written nothing for long is gone.
    seen   timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Raises the epoch of one shard, above `p_above` too: whoever knows of a higher epoch than the database, because the database lost it, must
-- not be given the same one again. Waits for the appends of older epochs that are under way.
CREATE FUNCTION claim_shard(p_shard integer, p_owner text, p_above bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_epoch bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1396786001, p_shard);
    INSERT INTO shard_epochs AS e (shard, epoch, owner) VALUES (p_shard, p_above + 1, p_owner)
        ON CONFLICT (shard) DO UPDATE
            SET epoch = greatest(e.epoch, p_above) + 1, owner = excluded.owner, claimed_at = now()
        RETURNING e.epoch INTO v_epoch;
    RETURN v_epoch;
END $$;
