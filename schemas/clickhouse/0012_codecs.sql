-- ZSTD(1) where it saves a third of the facts and half of the receipts at the same CPU (npm run load -- codecs): ids, names and
-- offsets. Texts, times and scores stay as they are. Parts that are there change with their next merge.
ALTER TABLE messages
    MODIFY COLUMN message_id CODEC(ZSTD(1)),
    MODIFY COLUMN bot_id CODEC(ZSTD(1)),
    MODIFY COLUMN conversation_id CODEC(ZSTD(1)),
    MODIFY COLUMN user_id CODEC(ZSTD(1)),
    MODIFY COLUMN metadata CODEC(ZSTD(1)),
    MODIFY COLUMN topics CODEC(ZSTD(1)),
    MODIFY COLUMN origin_partition CODEC(ZSTD(1)),
    MODIFY COLUMN origin_offset CODEC(ZSTD(1)),
    MODIFY COLUMN log_partition CODEC(ZSTD(1)),
    MODIFY COLUMN log_offset CODEC(ZSTD(1)),
    MODIFY COLUMN block_from CODEC(ZSTD(1)),
    MODIFY COLUMN block_to CODEC(ZSTD(1));

ALTER TABLE receipts
    MODIFY COLUMN message_id CODEC(ZSTD(1)),
    MODIFY COLUMN offset CODEC(Delta, ZSTD(1)),
    MODIFY COLUMN last_offset CODEC(Delta, ZSTD(1)),
    MODIFY COLUMN log_offset CODEC(Delta, ZSTD(1)),
    MODIFY COLUMN block_from CODEC(Delta, ZSTD(1)),
    MODIFY COLUMN block_to CODEC(Delta, ZSTD(1));
