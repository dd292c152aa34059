SELECT number, at FROM heartbeats
