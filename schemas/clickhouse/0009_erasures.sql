-- Whose words are erased (ADR 30), and who did it: `parley forget` adds a row when it starts, which holds from then on, and
-- one when it ends. The person is a hash. Rows are kept for ever, since a file may bring old messages again at any time, and
-- never merged into fewer: their number says whether somebody knows them all.
CREATE TABLE IF NOT EXISTS erasures
(
    erasure_id String,
    -- 1 at the start, 2 at the end.
    version UInt32,
    tenant_id String,
    -- user, conversation or bot.
    scope LowCardinality(String),
    -- SHA-256, in lower-case hexadecimal, of scope, tenant and the names within it, with a NUL between each two.
    subject String,
    -- What was sent or received until then is erased.
    until DateTime64(3, 'UTC'),
    started_at DateTime64(3, 'UTC'),
    -- The epoch's start while it runs.
    finished_at DateTime64(3, 'UTC'),
    -- The operating system's user and host that ran the command.
    operator String,
    -- Rows of the facts that were blanked; older revisions of a message count as well.
    blanked UInt64,
    -- running, done, incomplete or interrupted.
    outcome LowCardinality(String)
)
ENGINE = MergeTree
ORDER BY (tenant_id, subject, started_at, erasure_id);

-- How many rows of that table the sink had read when it blanked the words of its block.
ALTER TABLE ingest ADD COLUMN IF NOT EXISTS known_erasures UInt64 DEFAULT 0;

-- The one place through which texts are stored refuses a block whose sink does not know every erasure: the sink reads them
-- and sends the block again. So it depends on nobody's memory, and costs a block one number.
ALTER TABLE ingest_to_messages MODIFY QUERY
SELECT
    message_id, tenant_id, bot_id, conversation_id, speaker, text, sent_at, sent_at_original, received_at, enriched_at,
    outcome, reason, revision, language, language_confidence, sentiment_label, sentiment_score, sentiment_e4, intent,
    intent_confidence, toxicity_score, topics, nlp_ms, latency_ms, latency_counts, attempts, cache_hit, model, user_id, channel,
    bot_version, metadata, origin_topic_id, origin_partition, origin_offset, log_topic_id, log_partition, log_offset,
    block_from, block_to, is_deleted
FROM ingest
WHERE to_messages = 1 AND throwIf(known_erasures != (SELECT count() FROM erasures), 'erasures that are not known') = 0;
