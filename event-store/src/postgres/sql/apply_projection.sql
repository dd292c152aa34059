-- Rows and position change together, and only if the position is the one that the caller read. Of two callers the second
-- waits for the first, and then finds another position.
WITH moved AS (
    UPDATE projections SET position = $4, at = coalesce($5, at), archives = $10, left_out = coalesce($11, left_out)
    WHERE name = $1 AND generation = $2 AND position = $3 AND archives IS NOT DISTINCT FROM $9 AND problem IS NULL
    RETURNING 1 AS one
), removed AS (
    DELETE FROM projection_rows r USING moved
    WHERE r.name = $1 AND r.generation = $2 AND r.row_key = ANY ($6::text[])
), written AS (
    INSERT INTO projection_rows (name, generation, row_key, body)
        SELECT $1, $2, n.row_key, n.body FROM moved CROSS JOIN unnest($7::text[], $8::text[]) AS n (row_key, body)
        ON CONFLICT (name, generation, row_key) DO UPDATE SET body = excluded.body
)
SELECT count(*) AS moved FROM moved
