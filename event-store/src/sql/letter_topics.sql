SELECT DISTINCT topic FROM letter_logs ORDER BY topic
