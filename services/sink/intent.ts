import { crc32 } from 'node:zlib';
import type { TopicId } from '../core/brands.ts';

/**
 * What the sink writes into the metadata of its commits, besides the offset `a`: which block it is about to insert
 * (`[a, next)`), or that every block below `a` is closed. Text, about 60 bytes of the broker's 4,096:
 *
 *     parley2 <topic id> <a> <next, or - when closed> <partitions> <crc32 of all before, hex>
 *
 * `partitions` is the partition count of chat.enriched by which the sink judges which sources are at home (ADR 19);
 * version 1 had none, and every source in the partition of its own number.
 * The offset stands in it as well, so that metadata left beside another offset is not believed.
 */
export type CommitState =
  | { readonly kind: 'intent'; readonly next: number; readonly layout: number | undefined }
  | { readonly kind: 'closed'; readonly layout: number | undefined }
  /** No commit of ours is there: none at all, an operator's, or one that cannot be read. */
  | { readonly kind: 'unknown'; readonly why: 'empty' | 'foreign' | 'corrupt' | 'newer' }
  /** A commit for another topic of the same name, deleted since: its offset means nothing in this one. */
  | { readonly kind: 'other_topic' };

const MAGIC = 'parley';
const VERSION = 2;

const checksum = (text: string): string => crc32(text).toString(16).padStart(8, '0');

/**
 * @param next the end of the block that begins at `offset`, or null when there is none under way.
 * @param layout partitions of chat.enriched.
 */
export function encodeCommit(topicId: TopicId, offset: number, next: number | null, layout: number): string {
  const text = `${MAGIC}${VERSION} ${topicId} ${offset} ${next ?? '-'} ${layout}`;
  return `${text} ${checksum(text)}`;
}

/** Never throws: what cannot be trusted is `unknown`, and the sink then asks ClickHouse. */
export function decodeCommit(metadata: string, topicId: TopicId, offset: number | null): CommitState {
  if (metadata === '' || offset === null) return { kind: 'unknown', why: 'empty' };
  const version = /^parley(\d+) /.exec(metadata)?.[1];
  if (version === undefined) return { kind: 'unknown', why: 'foreign' };
  if (Number(version) > VERSION) return { kind: 'unknown', why: 'newer' };
  const match = /^(parley[12] (\S+) (\d{1,16}) (-|\d{1,16})(?: (\d{1,4}))?) ([0-9a-f]{8})$/.exec(metadata);
  if (!match) return { kind: 'unknown', why: 'corrupt' };
  const [, text, topic, at, next, partitions, sum] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string | undefined,
    string,
  ];
  const layout = partitions === undefined ? undefined : Number(partitions);
  if ((layout === undefined) !== (version === '1')) return { kind: 'unknown', why: 'corrupt' };
  if (checksum(text) !== sum || Number(at) !== offset) return { kind: 'unknown', why: 'corrupt' };
  if (topic !== topicId) return { kind: 'other_topic' };
  if (next === '-') return { kind: 'closed', layout };
  return Number(next) > offset ? { kind: 'intent', next: Number(next), layout } : { kind: 'unknown', why: 'corrupt' };
}
