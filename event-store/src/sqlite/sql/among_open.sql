WHERE open
