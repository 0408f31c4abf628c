-- Partitions of chat.enriched when the block was cut: it says which sources were at home in its partition, should the
-- block be inserted again. 0 on blocks of before, when every source had the partition of its own number.
ALTER TABLE blocks ADD COLUMN IF NOT EXISTS layout UInt32 DEFAULT 0 AFTER block_to;
