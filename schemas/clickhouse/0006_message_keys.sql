-- One slim row a message and revision: what a resend or a replay has to know of the message's present row, found by the
-- hash of its key. A look-up costs by what is asked, not by what is stored (ADR 20): the key is the sort key, and a
-- granule has 128 rows. Partitioned by day, so that the TTL drops whole parts; MESSAGE_KEYS_DAYS changes it.
CREATE TABLE IF NOT EXISTS message_keys
(
    -- MD5 of tenant, bot, conversation and id, with a NUL between each two.
    key_hash FixedString(16) CODEC(NONE),
    -- Partition of chat.events.
    partition Int32,
    revision UInt32,
    outcome LowCardinality(String),
    sent_at DateTime64(3, 'UTC') CODEC(ZSTD),
    sent_at_original DateTime64(3, 'UTC') CODEC(ZSTD),
    sentiment_label LowCardinality(String),
    sentiment_e4 Int64,
    toxicity_score Float32,
    latency_ms UInt32,
    latency_counts UInt8,
    origin_topic_id LowCardinality(String),
    origin_partition Int32,
    origin_offset Int64,
    enriched_at DateTime64(3, 'UTC') CODEC(ZSTD),
    log_topic_id LowCardinality(String),
    log_partition Int32,
    log_offset Int64,
    block_from Int64,
    block_to Int64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMMDD(enriched_at)
ORDER BY key_hash
TTL toDateTime(enriched_at) + INTERVAL 8 DAY
SETTINGS index_granularity = 128, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 100000;

CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_to_message_keys TO message_keys AS
SELECT
    MD5(concat(tenant_id, '\0', bot_id, '\0', conversation_id, '\0', message_id)) AS key_hash,
    origin_partition AS partition, revision, outcome, sent_at, sent_at_original, sentiment_label, sentiment_e4,
    toxicity_score, latency_ms, latency_counts, origin_topic_id, origin_partition, origin_offset, enriched_at,
    log_topic_id, log_partition, log_offset, block_from, block_to, is_deleted
FROM ingest
WHERE to_messages = 1;

-- What the facts hold of the days that the table keeps. A row that comes twice is one: the engine keeps the highest
-- revision of a key, and so does a look-up.
INSERT INTO message_keys
SELECT
    MD5(concat(tenant_id, '\0', bot_id, '\0', conversation_id, '\0', message_id)) AS key_hash,
    origin_partition AS partition, revision, outcome, sent_at, sent_at_original, sentiment_label, sentiment_e4,
    toxicity_score, latency_ms, latency_counts, origin_topic_id, origin_partition, origin_offset, enriched_at,
    log_topic_id, log_partition, log_offset, block_from, block_to, is_deleted
FROM messages
WHERE enriched_at > now64(3) - INTERVAL 8 DAY
SETTINGS max_partitions_per_insert_block = 0;

-- CRC-32 of the same text as key_hash: a sink rebuilds its prefilter of recent keys from the newest receipts of a source
-- partition, which stand together. 0 on receipts of before.
ALTER TABLE receipts ADD COLUMN IF NOT EXISTS key_crc UInt32 DEFAULT 0 AFTER message_id;
ALTER TABLE receipts ADD INDEX IF NOT EXISTS enriched_at_range enriched_at TYPE minmax GRANULARITY 1;
ALTER TABLE receipts ADD INDEX IF NOT EXISTS outcome_set outcome TYPE set(8) GRANULARITY 1;
ALTER TABLE receipts MATERIALIZE INDEX enriched_at_range SETTINGS mutations_sync = 0;
ALTER TABLE receipts MATERIALIZE INDEX outcome_set SETTINGS mutations_sync = 0;
ALTER TABLE ingest_to_receipts MODIFY QUERY
SELECT
    topic_id, topic, partition, offset, last_offset, receipt_outcome AS outcome, revision, message_id,
    CRC32(concat(tenant_id, '\0', bot_id, '\0', conversation_id, '\0', message_id)) AS key_crc, enriched_at,
    log_topic_id, log_partition, log_offset, block_from, block_to
FROM ingest
WHERE to_receipts = 1;

-- The last block begun is known for as long as any retention of chat.enriched: where the first one on record does not
-- reach down to the log's start, ClickHouse has lost what was before it.
ALTER TABLE blocks MODIFY TTL toDateTime(begun_at) + INTERVAL 400 DAY SETTINGS materialize_ttl_after_modify = 0;
