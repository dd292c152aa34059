SELECT partition, log, position, mark FROM letter_logs WHERE topic = $1 ORDER BY partition
