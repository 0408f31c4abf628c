import { crc32 } from 'node:zlib';
import type { TopicId } from '../core/brands.ts';

/**
 * What the sink writes into the metadata of its commits, besides the offset `a`: which block it is about to insert
 * (`[a, next)`), or that every block below `a` is closed. Text, about 60 bytes of the broker's 4,096:
 *
 *     parley1 <topic id> <a> <next, or - when closed> <crc32 of all before, hex>
 *
 * The offset stands in it as well, so that metadata left beside another offset is not believed.
 */
export type CommitState =
  | { readonly kind: 'intent'; readonly next: number }
  | { readonly kind: 'closed' }
  /** No commit of ours is there: none at all, an operator's, or one that cannot be read. */
  | { readonly kind: 'unknown'; readonly why: 'empty' | 'foreign' | 'corrupt' | 'newer' }
  /** A commit for another topic of the same name, deleted since: its offset means nothing in this one. */
  | { readonly kind: 'other_topic' };

const MAGIC = 'parley';
const VERSION = 1;

const checksum = (text: string): string => crc32(text).toString(16).padStart(8, '0');

/** @param next the end of the block that begins at `offset`, or null when there is none under way. */
export function encodeCommit(topicId: TopicId, offset: number, next: number | null): string {
  const text = `${MAGIC}${VERSION} ${topicId} ${offset} ${next ?? '-'}`;
  return `${text} ${checksum(text)}`;
}

/** Never throws: what cannot be trusted is `unknown`, and the sink then asks ClickHouse. */
export function decodeCommit(metadata: string, topicId: TopicId, offset: number | null): CommitState {
  if (metadata === '' || offset === null) return { kind: 'unknown', why: 'empty' };
  const version = /^parley(\d+) /.exec(metadata)?.[1];
  if (version === undefined) return { kind: 'unknown', why: 'foreign' };
  if (Number(version) > VERSION) return { kind: 'unknown', why: 'newer' };
  const match = /^(parley1 (\S+) (\d{1,16}) (-|\d{1,16})) ([0-9a-f]{8})$/.exec(metadata);
  if (!match) return { kind: 'unknown', why: 'corrupt' };
  const [, text, topic, at, next, sum] = match as unknown as [string, string, string, string, string, string];
  if (checksum(text) !== sum || Number(at) !== offset) return { kind: 'unknown', why: 'corrupt' };
  if (topic !== topicId) return { kind: 'other_topic' };
  if (next === '-') return { kind: 'closed' };
  return Number(next) > offset ? { kind: 'intent', next: Number(next) } : { kind: 'unknown', why: 'corrupt' };
}
