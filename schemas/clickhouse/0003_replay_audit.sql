-- Who replayed what, when, and what came of it: one row when a run starts and one when it ends. Read with FINAL; a run
-- that still says `running` and whose process is gone was killed: what it had produced by then takes effect all the same.
CREATE TABLE IF NOT EXISTS replay_runs
(
    run_id String,
    -- 1 at the start, 2 at the end.
    version UInt32,
    started_at DateTime64(3, 'UTC'),
    -- The epoch's start while it runs.
    finished_at DateTime64(3, 'UTC'),
    -- The operating system's user and host that ran the command.
    user String,
    -- What was asked for, as JSON.
    selection String,
    selected UInt64,
    replayed UInt64,
    -- Records that were selected and not replayed, by why.
    skipped Map(String, UInt64),
    -- running, done, incomplete (something selected could not be replayed), interrupted or failed.
    outcome LowCardinality(String)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (started_at, run_id);
