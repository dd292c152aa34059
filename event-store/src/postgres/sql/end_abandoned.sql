-- Ends sessions that this process gave up: nobody hears their answers, and what they hold keeps others waiting. Only those that wait for
-- their client: one that commits goes on to its end, because to end it there would take from a commit what it waits for.
SELECT count(pg_terminate_backend(a.pid)) AS ended
FROM unnest($1::integer[], $2::text[]) AS given_up (pid, started)
JOIN pg_stat_activity a ON a.pid = given_up.pid AND a.backend_start::text = given_up.started
WHERE a.usename = current_user AND a.wait_event_type = 'Client'
