import type { Type, types } from 'avsc';
import type { Insight } from '../../core/records.ts';
import { OUTCOME_SCHEMA } from './schema-files.ts';

/** Avro of an insight, a character a byte. */
export type PackedInsight = string & { readonly packed: unique symbol };

/** Bound of an insight as the enricher reads one: 36 names of at most 200 characters, at three bytes each, and five numbers. */
const MAX_BYTES = 32_768;
const scratch = Buffer.allocUnsafeSlow(MAX_BYTES);

const outcome = OUTCOME_SCHEMA.type as types.RecordType;
const INSIGHT = (outcome.field('insight').type as types.UnwrappedUnionType).types.at(-1) as Type;

/**
 * What is kept of an answer: one string of about a hundred bytes where the object, its numbers and its names are a dozen
 * things that the garbage collector copies, moves to the old generation and looks at again and again.
 *
 * @throws {RangeError} for an insight above 32 KiB.
 */
export function packInsight(insight: Insight): PackedInsight {
  const end = INSIGHT.encode(insight, scratch, 0);
  if (end < 0) throw new RangeError(`an insight of ${MAX_BYTES - end} bytes; allowed are ${MAX_BYTES}`);
  return scratch.toString('latin1', 0, end) as PackedInsight;
}

export const unpackInsight = (packed: PackedInsight): Insight =>
  INSIGHT.fromBuffer(Buffer.from(packed, 'latin1')) as Insight;
