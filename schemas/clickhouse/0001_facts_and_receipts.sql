-- Facts, receipts and the table through which both are fed. Every statement can run again: several sinks may migrate
-- at once. Times are UTC. A deduplication window stands on every target, since MergeTree's default is none; 100,000
-- covers 15 inserts a second over two table partitions for 55 minutes of freeze.

-- What the sink inserts: one row a source record, and one for each retraction. Stored nowhere itself (Null engine); the
-- materialized views below move all targets together, under one deduplication token.
CREATE TABLE IF NOT EXISTS ingest
(
    -- Where the row goes: 1 or 0 each. `sign` is what it adds to the rollups: 1, -1 for a retraction, 0 for none.
    to_receipts UInt8,
    to_messages UInt8,
    sign Int8,
    -- 1 on the row that hides an earlier one whose sort key was another (an undecodable record that was repaired).
    is_deleted UInt8,
    topic_id String,
    topic String,
    partition Int32,
    offset Int64,
    last_offset Int64,
    receipt_outcome String,
    message_id String,
    tenant_id String,
    bot_id String,
    conversation_id String,
    speaker String,
    text String,
    sent_at DateTime64(3, 'UTC'),
    sent_at_original DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    enriched_at DateTime64(3, 'UTC'),
    outcome String,
    reason String,
    revision UInt32,
    language String,
    language_confidence Float32,
    sentiment_label String,
    sentiment_score Float32,
    sentiment_e4 Int64,
    intent String,
    intent_confidence Float32,
    toxicity_score Float32,
    topics Array(String),
    nlp_ms UInt32,
    latency_ms UInt32,
    attempts UInt16,
    cache_hit UInt8,
    model String,
    user_id String,
    channel String,
    bot_version String,
    metadata Map(String, String),
    origin_topic_id String,
    origin_partition Int32,
    origin_offset Int64,
    log_topic_id String,
    log_partition Int32,
    log_offset Int64,
    block_from Int64,
    block_to Int64
)
ENGINE = Null;

-- The facts. One row a message and revision; read with FINAL or through messages_current. The sort key never changes
-- over revisions, origin_* neither.
CREATE TABLE IF NOT EXISTS messages
(
    message_id String,
    tenant_id LowCardinality(String),
    bot_id String,
    conversation_id String,
    speaker LowCardinality(String),
    text String CODEC(ZSTD(3)),
    sent_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    sent_at_original DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    enriched_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    outcome LowCardinality(String),
    reason LowCardinality(String),
    revision UInt32,
    language LowCardinality(String),
    language_confidence Float32,
    sentiment_label LowCardinality(String),
    sentiment_score Float32,
    -- The score times 10,000, rounded: the integer that the rollups sum, so that a recount is exact.
    sentiment_e4 Int64,
    intent LowCardinality(String),
    intent_confidence Float32,
    toxicity_score Float32,
    topics Array(LowCardinality(String)),
    nlp_ms UInt32,
    -- enriched_at - received_at.
    latency_ms UInt32,
    attempts UInt16,
    cache_hit UInt8,
    model LowCardinality(String),
    user_id String,
    channel LowCardinality(String),
    bot_version LowCardinality(String),
    metadata Map(String, String),
    origin_topic_id LowCardinality(String),
    origin_partition Int32,
    origin_offset Int64,
    -- The place in chat.enriched, by Kafka's own id of that topic, and the bounds of the block that brought the row in.
    log_topic_id LowCardinality(String),
    log_partition Int32,
    log_offset Int64,
    block_from Int64,
    block_to Int64,
    -- FINAL leaves out a message whose highest revision is deleted.
    is_deleted UInt8,
    INDEX message_id_bloom message_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX conversation_id_bloom conversation_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX origin_offset_range origin_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(revision, is_deleted)
PARTITION BY toYYYYMM(sent_at)
ORDER BY (tenant_id, bot_id, toStartOfHour(sent_at), conversation_id, message_id)
SETTINGS non_replicated_deduplication_window = 100000;

-- One row a source record taken: the sink's truth. Kept twice as long as chat.events and chat.replay keep their records
-- (7 days). Partitioned by the outcome's own time, so that a replayed block lands in the same partition.
CREATE TABLE IF NOT EXISTS receipts
(
    topic_id LowCardinality(String),
    topic LowCardinality(String),
    partition Int32,
    offset Int64,
    last_offset Int64,
    outcome LowCardinality(String),
    revision UInt32,
    message_id String,
    enriched_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD),
    log_topic_id LowCardinality(String),
    log_partition Int32,
    log_offset Int64,
    block_from Int64,
    block_to Int64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(enriched_at)
ORDER BY (topic_id, partition, offset)
TTL toDateTime(enriched_at) + INTERVAL 14 DAY
SETTINGS non_replicated_deduplication_window = 100000;

-- Every block the sink began to insert, written before its first row: should the group's commit be wiped, the last block
-- of a partition (highest seq), which may be half done, is found here. A repeated row says nothing new. Kept for longer than
-- chat.enriched keeps the records of a block.
CREATE TABLE IF NOT EXISTS blocks
(
    log_topic_id LowCardinality(String),
    log_partition Int32,
    seq UInt64,
    block_from Int64,
    block_to Int64,
    rows UInt32,
    begun_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (log_topic_id, log_partition, seq)
TTL toDateTime(begun_at) + INTERVAL 30 DAY;

-- What the sink decided about records that met an earlier row of their message, or could not be decoded: written before
-- the block and read back when the block is replayed, because by then the earlier row may have been merged away.
CREATE TABLE IF NOT EXISTS decisions
(
    log_topic_id LowCardinality(String),
    log_partition Int32,
    log_offset Int64,
    block_from Int64,
    block_to Int64,
    -- first, duplicate or replace.
    verdict LowCardinality(String),
    -- 1 where the value could not be decoded: the message is counted as dead-lettered, even should a replay decode it.
    undecodable UInt8,
    -- The row that is taken back, as JSON; empty where none is.
    replaced String,
    decided_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY tuple()
ORDER BY (log_topic_id, log_partition, log_offset)
TTL toDateTime(decided_at) + INTERVAL 14 DAY
SETTINGS non_replicated_deduplication_window = 100000;

CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_to_messages TO messages AS
SELECT
    message_id, tenant_id, bot_id, conversation_id, speaker, text, sent_at, sent_at_original, received_at, enriched_at,
    outcome, reason, revision, language, language_confidence, sentiment_label, sentiment_score, sentiment_e4, intent,
    intent_confidence, toxicity_score, topics, nlp_ms, latency_ms, attempts, cache_hit, model, user_id, channel,
    bot_version, metadata, origin_topic_id, origin_partition, origin_offset, log_topic_id, log_partition, log_offset,
    block_from, block_to, is_deleted
FROM ingest
WHERE to_messages = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_to_receipts TO receipts AS
SELECT
    topic_id, topic, partition, offset, last_offset, receipt_outcome AS outcome, revision, message_id, enriched_at,
    log_topic_id, log_partition, log_offset, block_from, block_to
FROM ingest
WHERE to_receipts = 1;

CREATE OR REPLACE VIEW messages_current AS
SELECT * FROM messages FINAL;
