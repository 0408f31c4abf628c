-- Before when a table's rows may be gone: noted each time its TTL is about to become another one, so that what an earlier,
-- shorter one removed is never looked for. The highest of a table counts.
CREATE TABLE IF NOT EXISTS retention_floors
(
    table_name LowCardinality(String),
    floor DateTime('UTC'),
    noted_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = MergeTree
ORDER BY (table_name, floor);
