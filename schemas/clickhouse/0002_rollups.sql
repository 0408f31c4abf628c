-- Rollups by minute and by hour, one row a bot. Always equal to a recount of the facts.

-- The counts of one bot in one minute of the (clamped) sent_at, in UTC. Only what can be taken back is summed: signed integers.
CREATE TABLE IF NOT EXISTS bot_minute_sums
(
    minute DateTime('UTC') CODEC(DoubleDelta, ZSTD),
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
    -- Messages by latency bucket (revision 0 alone): bucket n holds latencies from 1.05^n - 1 up to 1.05^(n+1) - 1 ms.
    latency SimpleAggregateFunction(sumMap, Map(UInt16, Int64))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (tenant_id, bot_id, minute)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_to_bot_minute_sums TO bot_minute_sums AS
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
WHERE sign != 0
GROUP BY minute, tenant_id, bot_id;

-- How many messages each conversation has in one minute: a conversation counts while its sum is above 0.
CREATE TABLE IF NOT EXISTS bot_minute_conversations
(
    minute DateTime('UTC') CODEC(DoubleDelta, ZSTD),
    tenant_id LowCardinality(String),
    bot_id String,
    conversation_id String,
    messages SimpleAggregateFunction(sum, Int64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (tenant_id, bot_id, minute, conversation_id)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_to_bot_minute_conversations TO bot_minute_conversations AS
SELECT toStartOfMinute(sent_at) AS minute, tenant_id, bot_id, conversation_id, sum(toInt64(sign)) AS messages
FROM ingest
WHERE sign != 0
GROUP BY minute, tenant_id, bot_id, conversation_id;

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
        SELECT minute, tenant_id, bot_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, CAST(map(), 'Map(UInt16, Int64)'),
            toInt64(sum(messages) > 0) AS conversations
        FROM bot_minute_conversations
        GROUP BY minute, tenant_id, bot_id, conversation_id
    ) AS s
    GROUP BY minute, tenant_id, bot_id
)
WHERE messages != 0;

-- The counts of one bot in one hour of the (clamped) sent_at, in UTC. Only what can be taken back is summed: signed integers.
CREATE TABLE IF NOT EXISTS bot_hour_sums
(
    hour DateTime('UTC') CODEC(DoubleDelta, ZSTD),
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
    -- Messages by latency bucket (revision 0 alone): bucket n holds latencies from 1.05^n - 1 up to 1.05^(n+1) - 1 ms.
    latency SimpleAggregateFunction(sumMap, Map(UInt16, Int64))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (tenant_id, bot_id, hour)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_to_bot_hour_sums TO bot_hour_sums AS
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
WHERE sign != 0
GROUP BY hour, tenant_id, bot_id;

-- How many messages each conversation has in one hour: a conversation counts while its sum is above 0.
CREATE TABLE IF NOT EXISTS bot_hour_conversations
(
    hour DateTime('UTC') CODEC(DoubleDelta, ZSTD),
    tenant_id LowCardinality(String),
    bot_id String,
    conversation_id String,
    messages SimpleAggregateFunction(sum, Int64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (tenant_id, bot_id, hour, conversation_id)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_to_bot_hour_conversations TO bot_hour_conversations AS
SELECT toStartOfHour(sent_at) AS hour, tenant_id, bot_id, conversation_id, sum(toInt64(sign)) AS messages
FROM ingest
WHERE sign != 0
GROUP BY hour, tenant_id, bot_id, conversation_id;

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
        SELECT hour, tenant_id, bot_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, CAST(map(), 'Map(UInt16, Int64)'),
            toInt64(sum(messages) > 0) AS conversations
        FROM bot_hour_conversations
        GROUP BY hour, tenant_id, bot_id, conversation_id
    ) AS s
    GROUP BY hour, tenant_id, bot_id
)
WHERE messages != 0;
