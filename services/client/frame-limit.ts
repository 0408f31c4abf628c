import { countOr } from './bounds.ts';
import type { WelcomeLimits } from './frames.ts';

/** A character as JSON has it at most: as `\u001f`, or as four bytes of UTF-8. */
const CHAR_BYTES = 6;
const OVERHEAD_BYTES = 4_096;
const NAMES = 7;
/** What the gateway and Kafka take at most, whatever is announced. */
const HARD_FRAME_BYTES = 1 << 20;

/**
 * The largest frame that can keep every announced limit: (8,192 + 32 × (64 + 1,024) + 7 × 128) × 6 + 4,096 bytes, 261 KiB, with
 * the defaults. `max_frame_bytes` is what costs one message, no bound; the gateway closes with 1009 only above twice this.
 */
export function frameLimitOf(limits: WelcomeLimits): number {
  const {
    max_text_chars = 0,
    max_metadata_entries = 0,
    max_metadata_key_chars = 0,
    max_metadata_value_chars = 0,
    max_id_chars = 0,
  } = limits;
  if (countOr(max_text_chars, 0) === 0) return limits.max_frame_bytes;
  const chars =
    max_text_chars + max_metadata_entries * (max_metadata_key_chars + max_metadata_value_chars) + NAMES * max_id_chars;
  return Math.max(limits.max_frame_bytes, Math.min(HARD_FRAME_BYTES, chars * CHAR_BYTES + OVERHEAD_BYTES));
}
