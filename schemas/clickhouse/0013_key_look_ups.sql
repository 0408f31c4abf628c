-- A look-up of keys reads one granule a key and part, of 128 rows, and for those found some twenty columns. A compressed block
-- of the default, 64 KiB and more, is that of 64 granules, all of which had to be decompressed for one; and a day that is
-- over is soon one part. Parts that are there change with their next merge.
ALTER TABLE message_keys MODIFY SETTING
    min_compress_block_size = 1024,
    min_age_to_force_merge_seconds = 3600,
    min_age_to_force_merge_on_partition_only = 1;
