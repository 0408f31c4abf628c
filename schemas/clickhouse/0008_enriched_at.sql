-- What came in since a time is found by it, whatever time its messages bear: an importer's are years old.
ALTER TABLE messages ADD INDEX IF NOT EXISTS enriched_at_range enriched_at TYPE minmax GRANULARITY 1;
