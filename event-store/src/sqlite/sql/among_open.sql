WHERE open = 1
