-- ?6: `kind:name`, `kind:` for all of a kind, `:name` for all of a name; null: the stream waits for anything.
WHERE stream IN (
    SELECT w.stream FROM stream_waits w
    WHERE ?6 IS NULL OR ?6 IN (w.kind || ':' || w.name, w.kind || ':', ':' || w.name)
)
