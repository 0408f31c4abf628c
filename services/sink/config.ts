import { int, optional } from '../core/config.ts';
import { CLICKHOUSE_SPEC, KAFKA_SPEC, REGISTRY_SPEC } from '../platform/settings.ts';

export const SINK_SPEC = {
  ...KAFKA_SPEC,
  ...REGISTRY_SPEC,
  ...CLICKHOUSE_SPEC,
  SINK_SESSION_TIMEOUT_MS: int({
    default: 10_000,
    min: 6_000,
    max: 300_000,
    doc: 'A sink that is silent for longer loses its partitions to another',
  }),
  SINK_CLICKHOUSE_TIMEOUT_MS: int({
    default: 30_000,
    min: 100,
    max: 600_000,
    doc: 'Time-out of one request to ClickHouse; an insert is sent again then, under the same token',
  }),
  SINK_BLOCK_ROWS: int({ default: 10_000, min: 1, max: 100_000, doc: 'A block closes at this many records' }),
  SINK_BLOCK_BYTES: int({ default: 8 << 20, min: 1_024, max: 64 << 20, doc: 'A block closes at this many bytes' }),
  SINK_MIN_AGE_MS: int({ default: 1_300, min: 10, max: 60_000, doc: 'Least age at which a block closes' }),
  SINK_MAX_AGE_MS: int({ default: 5_000, min: 10, max: 60_000, doc: 'Greatest age, however dear an insert is' }),
  SINK_BUFFER_ROWS: int({ default: 20_000, min: 1, max: 1_000_000, doc: 'Records that wait, a partition' }),
  SINK_BUFFER_BYTES: int({ default: 16 << 20, min: 1_024, max: 1 << 30, doc: 'Bytes that wait, a partition' }),
  SINK_TOTAL_BUFFER_BYTES: int({ default: 64 << 20, min: 1_024, max: 8 * 2 ** 30, doc: 'Bytes that wait, in all' }),
  SINK_CONCURRENT_BLOCKS: int({ default: 4, min: 1, max: 64, doc: 'Blocks of different partitions under way at once' }),
  SINK_DUPLICATE_WINDOW_MS: int({
    default: 1_800_000,
    min: 1_000,
    max: 86_400_000,
    doc: 'A second record of a message is recognised for at least this long, even without a resend flag',
  }),
  MESSAGE_KEYS_DAYS: int({
    default: 8,
    min: 7,
    max: 400,
    doc: 'A resend that says so, or that bears its old time, is recognised for this many days',
  }),
  // A dead letter may be replayed three times, 30 days apart: until then its message may be as old as 130 days.
  FACTS_TTL_DAYS: optional(
    int({
      min: 131,
      max: 36_500,
      doc: 'Messages are kept for this many days after they were sent; for ever unless given',
    }),
  ),
  MINUTES_TTL_DAYS: optional(
    int({ min: 131, max: 36_500, doc: 'Rollups by minute are kept for this many days; for ever unless given' }),
  ),
};
