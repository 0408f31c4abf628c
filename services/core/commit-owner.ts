import type { TopicId } from './brands.ts';

/** Commit metadata of the enricher (`ledger-metadata.ts`) and of the sink (`services/sink/intent.ts`), of any version. */
const FORMATS = [/^\d{1,3}\.[0-9a-f]{8}\.([\w-]{22})\./, /^parley\d+ ([\w-]{22}) /];

/**
 * Whether a commit of ours says of itself that it was made for another topic of this name, deleted since: its offset
 * means nothing in this one. Metadata that is not ours says nothing.
 */
export function isOfOtherTopic(metadata: string, topicId: TopicId): boolean {
  const owner = FORMATS.map((format) => format.exec(metadata)?.[1]).find((found) => found !== undefined);
  return owner !== undefined && owner !== topicId;
}
