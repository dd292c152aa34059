-- Ends sessions that this process closed because they did not answer. Nothing reads their answers, and their locks keep
-- others waiting. Only sessions that wait for their client are ended. A session that commits continues to its end: to
-- end it would not show whether it committed.
SELECT count(pg_terminate_backend(a.pid)) AS ended
FROM unnest($1::integer[], $2::text[]) AS given_up (pid, started)
JOIN pg_stat_activity a ON a.pid = given_up.pid AND a.backend_start::text = given_up.started
WHERE a.usename = current_user AND a.wait_event_type = 'Client'
