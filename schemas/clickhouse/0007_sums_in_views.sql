-- What can be added stands beside what cannot: sums, counts and latency buckets beside means and quantiles. For each grain
-- one view of sums alone, `<name>_counts`, which never reads a conversation, and one with conversations beside them. A
-- quarter of an hour is the coarsest bucket that any time zone's hours and days are made of.

CREATE OR REPLACE VIEW bot_minute_counts AS
SELECT
    minute, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
    sentiment_sum, sentiment_count, if(sentiment_count = 0, NULL, sentiment_sum / sentiment_count) AS sentiment_avg,
    toxic, latency_count, latency_buckets,
    if(latency_count = 0, NULL, round(pow(1.05, mapKeys(latency_buckets)[indexOf(arrayMap(c -> c >= 0.50 * latency_count, arrayCumSum(mapValues(latency_buckets))), 1)] + 0.5) - 1)) AS latency_p50_ms,
    if(latency_count = 0, NULL, round(pow(1.05, mapKeys(latency_buckets)[indexOf(arrayMap(c -> c >= 0.99 * latency_count, arrayCumSum(mapValues(latency_buckets))), 1)] + 0.5) - 1)) AS latency_p99_ms
FROM
(
    SELECT
        s.at AS minute, tenant_id, bot_id,
        sum(s.messages) AS messages, sum(s.enriched) AS enriched, sum(s.degraded) AS degraded,
        sum(s.dead_lettered) AS dead_lettered, sum(s.positive) AS positive, sum(s.neutral) AS neutral,
        sum(s.negative) AS negative, sum(s.sentiment_e4) / 10000 AS sentiment_sum,
        sum(s.enriched) + sum(s.degraded) AS sentiment_count, sum(s.toxic) AS toxic,
        mapSort(sumMap(s.latency)) AS latency_buckets, arraySum(mapValues(latency_buckets)) AS latency_count
    FROM
    (
        SELECT minute AS at, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
            sentiment_e4, toxic, latency
        FROM bot_minute_sums
        UNION ALL
        SELECT at, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
            sentiment_e4, toxic, latency
        FROM rollup_sums WHERE grain = 'minute' AND dimension = ''
    ) AS s
    GROUP BY minute, tenant_id, bot_id
)
WHERE messages != 0;

CREATE OR REPLACE VIEW bot_minute AS
SELECT
    minute, tenant_id, bot_id,
    sum(v.messages) AS messages, sum(v.enriched) AS enriched, sum(v.degraded) AS degraded,
    sum(v.dead_lettered) AS dead_lettered, sum(v.positive) AS positive, sum(v.neutral) AS neutral,
    sum(v.negative) AS negative, sum(v.sentiment_sum) AS sentiment_sum, sum(v.sentiment_count) AS sentiment_count,
    max(v.sentiment_avg) AS sentiment_avg, sum(v.toxic) AS toxic, sum(v.conversations) AS conversations,
    sum(v.latency_count) AS latency_count, mapSort(sumMap(v.latency_buckets)) AS latency_buckets,
    max(v.latency_p50_ms) AS latency_p50_ms, max(v.latency_p99_ms) AS latency_p99_ms
FROM
(
    SELECT *, toInt64(0) AS conversations FROM bot_minute_counts
    UNION ALL
    SELECT minute, tenant_id, bot_id, 0, 0, 0, 0, 0, 0, 0, 0., 0, NULL, 0, 0, CAST(map(), 'Map(UInt16, Int64)'), NULL, NULL,
        toInt64(sum(messages) > 0) AS conversations
    FROM
    (
        SELECT minute, tenant_id, bot_id, conversation_id, messages FROM bot_minute_conversations
        UNION ALL
        SELECT at AS minute, tenant_id, bot_id, conversation_id, messages FROM rollup_conversations WHERE grain = 'minute'
    )
    GROUP BY minute, tenant_id, bot_id, conversation_id
) AS v
GROUP BY minute, tenant_id, bot_id
HAVING messages != 0;

CREATE OR REPLACE VIEW bot_quarter_hour_counts AS
SELECT
    quarter_hour, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
    sentiment_sum, sentiment_count, if(sentiment_count = 0, NULL, sentiment_sum / sentiment_count) AS sentiment_avg,
    toxic, latency_count, latency_buckets,
    if(latency_count = 0, NULL, round(pow(1.05, mapKeys(latency_buckets)[indexOf(arrayMap(c -> c >= 0.50 * latency_count, arrayCumSum(mapValues(latency_buckets))), 1)] + 0.5) - 1)) AS latency_p50_ms,
    if(latency_count = 0, NULL, round(pow(1.05, mapKeys(latency_buckets)[indexOf(arrayMap(c -> c >= 0.99 * latency_count, arrayCumSum(mapValues(latency_buckets))), 1)] + 0.5) - 1)) AS latency_p99_ms
FROM
(
    SELECT
        toStartOfFifteenMinutes(s.at) AS quarter_hour, tenant_id, bot_id,
        sum(s.messages) AS messages, sum(s.enriched) AS enriched, sum(s.degraded) AS degraded,
        sum(s.dead_lettered) AS dead_lettered, sum(s.positive) AS positive, sum(s.neutral) AS neutral,
        sum(s.negative) AS negative, sum(s.sentiment_e4) / 10000 AS sentiment_sum,
        sum(s.enriched) + sum(s.degraded) AS sentiment_count, sum(s.toxic) AS toxic,
        mapSort(sumMap(s.latency)) AS latency_buckets, arraySum(mapValues(latency_buckets)) AS latency_count
    FROM
    (
        SELECT minute AS at, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
            sentiment_e4, toxic, latency
        FROM bot_minute_sums
        UNION ALL
        SELECT at, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
            sentiment_e4, toxic, latency
        FROM rollup_sums WHERE grain = 'minute' AND dimension = ''
    ) AS s
    GROUP BY quarter_hour, tenant_id, bot_id
)
WHERE messages != 0;

CREATE OR REPLACE VIEW bot_quarter_hour AS
SELECT
    quarter_hour, tenant_id, bot_id,
    sum(v.messages) AS messages, sum(v.enriched) AS enriched, sum(v.degraded) AS degraded,
    sum(v.dead_lettered) AS dead_lettered, sum(v.positive) AS positive, sum(v.neutral) AS neutral,
    sum(v.negative) AS negative, sum(v.sentiment_sum) AS sentiment_sum, sum(v.sentiment_count) AS sentiment_count,
    max(v.sentiment_avg) AS sentiment_avg, sum(v.toxic) AS toxic, sum(v.conversations) AS conversations,
    sum(v.latency_count) AS latency_count, mapSort(sumMap(v.latency_buckets)) AS latency_buckets,
    max(v.latency_p50_ms) AS latency_p50_ms, max(v.latency_p99_ms) AS latency_p99_ms
FROM
(
    SELECT *, toInt64(0) AS conversations FROM bot_quarter_hour_counts
    UNION ALL
    SELECT quarter_hour, tenant_id, bot_id, 0, 0, 0, 0, 0, 0, 0, 0., 0, NULL, 0, 0, CAST(map(), 'Map(UInt16, Int64)'), NULL, NULL,
        toInt64(sum(messages) > 0) AS conversations
    FROM
    (
        SELECT toStartOfFifteenMinutes(minute) AS quarter_hour, tenant_id, bot_id, conversation_id, messages FROM bot_minute_conversations
        UNION ALL
        SELECT toStartOfFifteenMinutes(at) AS quarter_hour, tenant_id, bot_id, conversation_id, messages FROM rollup_conversations WHERE grain = 'minute'
    )
    GROUP BY quarter_hour, tenant_id, bot_id, conversation_id
) AS v
GROUP BY quarter_hour, tenant_id, bot_id
HAVING messages != 0;

CREATE OR REPLACE VIEW bot_hour_counts AS
SELECT
    hour, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
    sentiment_sum, sentiment_count, if(sentiment_count = 0, NULL, sentiment_sum / sentiment_count) AS sentiment_avg,
    toxic, latency_count, latency_buckets,
    if(latency_count = 0, NULL, round(pow(1.05, mapKeys(latency_buckets)[indexOf(arrayMap(c -> c >= 0.50 * latency_count, arrayCumSum(mapValues(latency_buckets))), 1)] + 0.5) - 1)) AS latency_p50_ms,
    if(latency_count = 0, NULL, round(pow(1.05, mapKeys(latency_buckets)[indexOf(arrayMap(c -> c >= 0.99 * latency_count, arrayCumSum(mapValues(latency_buckets))), 1)] + 0.5) - 1)) AS latency_p99_ms
FROM
(
    SELECT
        s.at AS hour, tenant_id, bot_id,
        sum(s.messages) AS messages, sum(s.enriched) AS enriched, sum(s.degraded) AS degraded,
        sum(s.dead_lettered) AS dead_lettered, sum(s.positive) AS positive, sum(s.neutral) AS neutral,
        sum(s.negative) AS negative, sum(s.sentiment_e4) / 10000 AS sentiment_sum,
        sum(s.enriched) + sum(s.degraded) AS sentiment_count, sum(s.toxic) AS toxic,
        mapSort(sumMap(s.latency)) AS latency_buckets, arraySum(mapValues(latency_buckets)) AS latency_count
    FROM
    (
        SELECT hour AS at, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
            sentiment_e4, toxic, latency
        FROM bot_hour_sums
        UNION ALL
        SELECT at, tenant_id, bot_id, messages, enriched, degraded, dead_lettered, positive, neutral, negative,
            sentiment_e4, toxic, latency
        FROM rollup_sums WHERE grain = 'hour' AND dimension = ''
    ) AS s
    GROUP BY hour, tenant_id, bot_id
)
WHERE messages != 0;

CREATE OR REPLACE VIEW bot_hour AS
SELECT
    hour, tenant_id, bot_id,
    sum(v.messages) AS messages, sum(v.enriched) AS enriched, sum(v.degraded) AS degraded,
    sum(v.dead_lettered) AS dead_lettered, sum(v.positive) AS positive, sum(v.neutral) AS neutral,
    sum(v.negative) AS negative, sum(v.sentiment_sum) AS sentiment_sum, sum(v.sentiment_count) AS sentiment_count,
    max(v.sentiment_avg) AS sentiment_avg, sum(v.toxic) AS toxic, sum(v.conversations) AS conversations,
    sum(v.latency_count) AS latency_count, mapSort(sumMap(v.latency_buckets)) AS latency_buckets,
    max(v.latency_p50_ms) AS latency_p50_ms, max(v.latency_p99_ms) AS latency_p99_ms
FROM
(
    SELECT *, toInt64(0) AS conversations FROM bot_hour_counts
    UNION ALL
    SELECT hour, tenant_id, bot_id, 0, 0, 0, 0, 0, 0, 0, 0., 0, NULL, 0, 0, CAST(map(), 'Map(UInt16, Int64)'), NULL, NULL,
        toInt64(sum(messages) > 0) AS conversations
    FROM
    (
        SELECT hour, tenant_id, bot_id, conversation_id, messages FROM bot_hour_conversations
        UNION ALL
        SELECT at AS hour, tenant_id, bot_id, conversation_id, messages FROM rollup_conversations WHERE grain = 'hour'
    )
    GROUP BY hour, tenant_id, bot_id, conversation_id
) AS v
GROUP BY hour, tenant_id, bot_id
HAVING messages != 0;
