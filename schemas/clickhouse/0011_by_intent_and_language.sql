-- Counts by intent and by language, straight from the facts: they add nothing to a block. A query costs by the hours that
-- it asks for, since tenant, bot and hour begin the sort key. Sums over all intents, or languages, of a bucket are those of
-- bot_hour; '' is what has none (dead-lettered). They go with the facts (FACTS_TTL_DAYS), the rollups stay.

CREATE OR REPLACE VIEW bot_hour_intents AS
SELECT
    toStartOfHour(messages.sent_at) AS hour, tenant_id, bot_id, intent,
    count() AS messages, countIf(outcome = 'enriched') AS enriched, countIf(outcome = 'degraded') AS degraded,
    countIf(outcome = 'dead_lettered') AS dead_lettered, countIf(sentiment_label = 'positive') AS positive,
    countIf(sentiment_label = 'neutral') AS neutral, countIf(sentiment_label = 'negative') AS negative,
    sum(sentiment_e4) / 10000 AS sentiment_sum, enriched + degraded AS sentiment_count,
    if(sentiment_count = 0, NULL, sentiment_sum / sentiment_count) AS sentiment_avg,
    countIf(toxicity_score >= 0.5) AS toxic
FROM messages FINAL
GROUP BY hour, tenant_id, bot_id, intent;

CREATE OR REPLACE VIEW bot_hour_languages AS
SELECT
    toStartOfHour(messages.sent_at) AS hour, tenant_id, bot_id, language,
    count() AS messages, countIf(outcome = 'enriched') AS enriched, countIf(outcome = 'degraded') AS degraded,
    countIf(outcome = 'dead_lettered') AS dead_lettered, countIf(sentiment_label = 'positive') AS positive,
    countIf(sentiment_label = 'neutral') AS neutral, countIf(sentiment_label = 'negative') AS negative,
    sum(sentiment_e4) / 10000 AS sentiment_sum, enriched + degraded AS sentiment_count,
    if(sentiment_count = 0, NULL, sentiment_sum / sentiment_count) AS sentiment_avg,
    countIf(toxicity_score >= 0.5) AS toxic
FROM messages FINAL
GROUP BY hour, tenant_id, bot_id, language;
