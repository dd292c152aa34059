SELECT check_old_partitions()
