-- One table for the sums of every rollup and one for conversations, where there were two each: a block costs ClickHouse
-- by the parts it makes, more than by its rows (ADR 19). The latency of the first answer goes with a message over all
-- its revisions. The tables of before keep what they have: the views add both up.

-- 1 on what a sink of this version inserts: its counts go to the tables below, those of an earlier one to the earlier
-- tables. A block that an earlier sink began is inserted again the earlier way.
ALTER TABLE ingest ADD COLUMN IF NOT EXISTS rollups UInt8 DEFAULT 0;
-- 1 where latency_ms, that of the message's first answer, counts: a message first stored by a replay has none.
ALTER TABLE ingest ADD COLUMN IF NOT EXISTS latency_counts UInt8 DEFAULT revision = 0;
ALTER TABLE messages ADD COLUMN IF NOT EXISTS latency_counts UInt8 DEFAULT revision = 0 AFTER latency_ms;

ALTER TABLE ingest_to_messages MODIFY QUERY
SELECT
    message_id, tenant_id, bot_id, conversation_id, speaker, text, sent_at, sent_at_original, received_at, enriched_at,
    outcome, reason, revision, language, language_confidence, sentiment_label, sentiment_score, sentiment_e4, intent,
    intent_confidence, toxicity_score, topics, nlp_ms, latency_ms, latency_counts, attempts, cache_hit, model, user_id, channel,
    bot_version, metadata, origin_topic_id, origin_partition, origin_offset, log_topic_id, log_partition, log_offset,
    block_from, block_to, is_deleted
FROM ingest
WHERE to_messages = 1;

-- The counts of one bot in one minute or hour of the (clamped) sent_at, in UTC. Only what can be taken back is summed:
-- signed integers. `dimension` and `value` are empty on the counts of all messages.
CREATE TABLE IF NOT EXISTS rollup_sums
(
    grain LowCardinality(String),
    dimension LowCardinality(String),
    value String,
    at DateTime('UTC') CODEC(DoubleDelta, ZSTD),
    tenant_id LowCardinality(String),
    bot_id String,
    messages SimpleAggregateFunction(sum, Int64),
    enriched SimpleAggregateFunction(sum, Int64),
    degraded SimpleAggregateFunction(sum, Int64),
    dead_lettered SimpleAggregateFunction(sum, Int64),
    positive SimpleAggregateFunction(sum, Int64),
    neutral SimpleAggregateFunction(sum, Int64),
    negative SimpleAggregateFunction(sum, Int64),
    sentiment_e4 SimpleAggregateFunction(sum, Int64),
    toxic SimpleAggregateFunction(sum, Int64),
    -- Messages by bucket of their first answer's latency: bucket n holds from 1.05^n - 1 up to 1.05^(n+1) - 1 ms.
    latency SimpleAggregateFunction(sumMap, Map(UInt16, Int64))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (grain, dimension, tenant_id, bot_id, at, value)
SETTINGS non_replicated_deduplication_window = 100000;

-- How many messages each conversation has in one minute or hour: a conversation counts while its sum is above 0.
CREATE TABLE IF NOT EXISTS rollup_conversations
(
    grain LowCardinality(String),
    at DateTime('UTC') CODEC(DoubleDelta, ZSTD),
    tenant_id LowCardinality(String),
    bot_id String,
    conversation_id String,
    messages SimpleAggregateFunction(sum, Int64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (grain, tenant_id, bot_id, at, conversation_id)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_to_rollup_sums TO rollup_sums AS
SELECT
    bucket.1 AS grain,
    '' AS dimension,
    '' AS value,
    bucket.2 AS at,
    tenant_id,
    bot_id,
    sum(toInt64(sign)) AS messages,
    sum(sign * (outcome = 'enriched')) AS enriched,
    sum(sign * (outcome = 'degraded')) AS degraded,
    sum(sign * (outcome = 'dead_lettered')) AS dead_lettered,
    sum(sign * (sentiment_label = 'positive')) AS positive,
    sum(sign * (sentiment_label = 'neutral')) AS neutral,
    sum(sign * (sentiment_label = 'negative')) AS negative,
    sum(sign * sentiment_e4) AS sentiment_e4,
    sum(sign * (toxicity_score >= 0.5)) AS toxic,
    sumMap(if(latency_counts = 1, map(toUInt16(floor(log(latency_ms + 1) / log(1.05))), toInt64(sign)), map())) AS latency
FROM ingest
ARRAY JOIN [('minute', toStartOfMinute(sent_at)), ('hour', toStartOfHour(sent_at))] AS bucket
WHERE sign != 0 AND rollups = 1
GROUP BY grain, at, tenant_id, bot_id;

CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_to_rollup_conversations TO rollup_conversations AS
SELECT bucket.1 AS grain, bucket.2 AS at, tenant_id, bot_id, conversation_id, sum(toInt64(sign)) AS messages
FROM ingest
ARRAY JOIN [('minute', toStartOfMinute(sent_at)), ('hour', toStartOfHour(sent_at))] AS bucket
WHERE sign != 0 AND rollups = 1
GROUP BY grain, at, tenant_id, bot_id, conversation_id;

ALTER TABLE ingest_to_bot_minute_sums MODIFY QUERY
SELECT
    toStartOfMinute(sent_at) AS minute,
    tenant_id,
    bot_id,
    sum(toInt64(sign)) AS messages,
    sum(sign * (outcome = 'enriched')) AS enriched,
    sum(sign * (outcome = 'degraded')) AS degraded,
    sum(sign * (outcome = 'dead_lettered')) AS dead_lettered,
    sum(sign * (sentiment_label = 'positive')) AS positive,
    sum(sign * (sentiment_label = 'neutral')) AS neutral,
    sum(sign * (sentiment_label = 'negative')) AS negative,
    sum(sign * sentiment_e4) AS sentiment_e4,
    sum(sign * (toxicity_score >= 0.5)) AS toxic,
    sumMap(if(revision = 0, map(toUInt16(floor(log(latency_ms + 1) / log(1.05))), toInt64(sign)), map())) AS latency
FROM ingest
WHERE sign != 0 AND rollups = 0
GROUP BY minute, tenant_id, bot_id;

ALTER TABLE ingest_to_bot_minute_conversations MODIFY QUERY
SELECT toStartOfMinute(sent_at) AS minute, tenant_id, bot_id, conversation_id, sum(toInt64(sign)) AS messages
FROM ingest
WHERE sign != 0 AND rollups = 0
GROUP BY minute, tenant_id, bot_id, conversation_id;

ALTER TABLE ingest_to_bot_hour_sums MODIFY QUERY
SELECT
    toStartOfHour(sent_at) AS hour,
    tenant_id,
    bot_id,
    sum(toInt64(sign)) AS messages,
    sum(sign * (outcome = 'enriched')) AS enriched,
    sum(sign * (outcome = 'degraded')) AS degraded,
    sum(sign * (outcome = 'dead_lettered')) AS dead_lettered,
    sum(sign * (sentiment_label = 'positive')) AS positive,
    sum(sign * (sentiment_label = 'neutral')) AS neutral,
    sum(sign * (sentiment_label = 'negative')) AS negative,
    sum(sign * sentiment_e4) AS sentiment_e4,
    sum(sign * (toxicity_score >= 0.5)) AS toxic,
    sumMap(if(revision = 0, map(toUInt16(floor(log(latency_ms + 1) / log(1.05))), toInt64(sign)), map())) AS latency
FROM ingest
WHERE sign != 0 AND rollups = 0
GROUP BY hour, tenant_id, bot_id;

ALTER TABLE ingest_to_bot_hour_conversations MODIFY QUERY
SELECT toStartOfHour(sent_at) AS hour, tenant_id, bot_id, conversation_id, sum(toInt64(sign)) AS messages
FROM ingest
WHERE sign != 0 AND rollups = 0
GROUP BY hour, tenant_id, bot_id, conversation_id;

CREATE OR REPLACE VIEW messages_current AS
SELECT * FROM messages FINAL;

CREATE OR REPLACE VIEW bot_minute AS
SELECT
    minute, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
    if(enriched + degraded = 0, NULL, sentiment_sum / 10000 / (enriched + degraded)) AS sentiment_avg,
    toxic,
    conversations,
    -- The geometric middle of the bucket in which the quantile falls: at most 2.5 % off.
    if(latency_count = 0, NULL, round(pow(1.05, buckets[indexOf(arrayMap(c -> c >= 0.50 * latency_count, cumulated), 1)] + 0.5) - 1)) AS latency_p50_ms,
    if(latency_count = 0, NULL, round(pow(1.05, buckets[indexOf(arrayMap(c -> c >= 0.99 * latency_count, cumulated), 1)] + 0.5) - 1)) AS latency_p99_ms
FROM
(
    SELECT
        minute, tenant_id, bot_id,
        sum(s.messages) AS messages, sum(s.enriched) AS enriched, sum(s.degraded) AS degraded,
        sum(s.dead_lettered) AS dead_lettered, sum(s.positive) AS positive, sum(s.neutral) AS neutral,
        sum(s.negative) AS negative, sum(s.sentiment_e4) AS sentiment_sum, sum(s.toxic) AS toxic,
        sum(s.conversations) AS conversations,
        mapSort(sumMap(s.latency)) AS latency_counts,
        mapKeys(latency_counts) AS buckets,
        arrayCumSum(mapValues(latency_counts)) AS cumulated,
        arraySum(mapValues(latency_counts)) AS latency_count
    FROM
    (
        SELECT minute, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
            sentiment_e4, toxic, latency, toInt64(0) AS conversations
        FROM bot_minute_sums
        UNION ALL
        SELECT at AS minute, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
            sentiment_e4, toxic, latency, toInt64(0) AS conversations
        FROM rollup_sums WHERE grain = 'minute' AND dimension = ''
        UNION ALL
        SELECT minute, tenant_id, bot_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, CAST(map(), 'Map(UInt16, Int64)'),
            toInt64(sum(messages) > 0) AS conversations
        FROM
        (
            SELECT minute, tenant_id, bot_id, conversation_id, messages FROM bot_minute_conversations
            UNION ALL
            SELECT at AS minute, tenant_id, bot_id, conversation_id, messages FROM rollup_conversations WHERE grain = 'minute'
        )
        GROUP BY minute, tenant_id, bot_id, conversation_id
    ) AS s
    GROUP BY minute, tenant_id, bot_id
)
WHERE messages != 0;

CREATE OR REPLACE VIEW bot_hour AS
SELECT
    hour, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
    if(enriched + degraded = 0, NULL, sentiment_sum / 10000 / (enriched + degraded)) AS sentiment_avg,
    toxic,
    conversations,
    -- The geometric middle of the bucket in which the quantile falls: at most 2.5 % off.
    if(latency_count = 0, NULL, round(pow(1.05, buckets[indexOf(arrayMap(c -> c >= 0.50 * latency_count, cumulated), 1)] + 0.5) - 1)) AS latency_p50_ms,
    if(latency_count = 0, NULL, round(pow(1.05, buckets[indexOf(arrayMap(c -> c >= 0.99 * latency_count, cumulated), 1)] + 0.5) - 1)) AS latency_p99_ms
FROM
(
    SELECT
        hour, tenant_id, bot_id,
        sum(s.messages) AS messages, sum(s.enriched) AS enriched, sum(s.degraded) AS degraded,
        sum(s.dead_lettered) AS dead_lettered, sum(s.positive) AS positive, sum(s.neutral) AS neutral,
        sum(s.negative) AS negative, sum(s.sentiment_e4) AS sentiment_sum, sum(s.toxic) AS toxic,
        sum(s.conversations) AS conversations,
        mapSort(sumMap(s.latency)) AS latency_counts,
        mapKeys(latency_counts) AS buckets,
        arrayCumSum(mapValues(latency_counts)) AS cumulated,
        arraySum(mapValues(latency_counts)) AS latency_count
    FROM
    (
        SELECT hour, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
            sentiment_e4, toxic, latency, toInt64(0) AS conversations
        FROM bot_hour_sums
        UNION ALL
        SELECT at AS hour, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
            sentiment_e4, toxic, latency, toInt64(0) AS conversations
        FROM rollup_sums WHERE grain = 'hour' AND dimension = ''
        UNION ALL
        SELECT hour, tenant_id, bot_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, CAST(map(), 'Map(UInt16, Int64)'),
            toInt64(sum(messages) > 0) AS conversations
        FROM
        (
            SELECT hour, tenant_id, bot_id, conversation_id, messages FROM bot_hour_conversations
            UNION ALL
            SELECT at AS hour, tenant_id, bot_id, conversation_id, messages FROM rollup_conversations WHERE grain = 'hour'
        )
        GROUP BY hour, tenant_id, bot_id, conversation_id
    ) AS s
    GROUP BY hour, tenant_id, bot_id
)
WHERE messages != 0;
