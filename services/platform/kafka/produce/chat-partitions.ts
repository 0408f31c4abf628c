import type { Logger } from '../../logger.ts';
import type { PartitionCounts, TopicNames } from '../topics.ts';

/**
 * How many partitions messages are spread over: as many as chat.events, chat.dlq and chat.replay have all three, since
 * a message keeps its number from one to the next. So the three may grow in any order, and the new partitions are used
 * when the last of them has grown (docs/adr/0017-growing-partitions.md).
 */
export class ChatPartitions {
  readonly #names: TopicNames;
  readonly #log: Logger;
  #count: number;
  #mismatch: string | undefined;

  constructor(names: TopicNames, counts: PartitionCounts, log: Logger) {
    this.#names = names;
    this.#log = log;
    this.#count = commonCount(names, counts) ?? 1;
    this.#noteMismatch(counts);
  }

  get count(): number {
    return this.#count;
  }

  /** Called at every look at the cluster; says once what has changed. */
  note(counts: PartitionCounts): void {
    const count = commonCount(this.#names, counts);
    // A topic that is away for a moment changes nothing: what is produced to it waits.
    if (count === undefined) return;
    this.#noteMismatch(counts);
    if (count === this.#count) return;
    this.#log.info(
      { was: this.#count, is: count },
      'messages are spread over another number of partitions from now on',
    );
    this.#count = count;
  }

  #noteMismatch(counts: PartitionCounts): void {
    const found = new Set(wideTopics(this.#names).map((topic) => counts.get(topic)));
    const mismatch = found.size > 1 ? describeCounts(this.#names, counts) : undefined;
    if (mismatch !== undefined && mismatch !== this.#mismatch) {
      this.#log.warn(
        { code: 'TOPIC_MISMATCH', used: commonCount(this.#names, counts) },
        `partition counts differ (${mismatch}): the smallest is used until the others are grown as well`,
      );
    }
    this.#mismatch = mismatch;
  }
}

/** The topics that a message passes under one partition number. */
const wideTopics = ({ events, dlq, replay }: TopicNames): readonly string[] => [events, dlq, replay];

/** What all three have; undefined while one of them does not exist. */
function commonCount(names: TopicNames, counts: PartitionCounts): number | undefined {
  const found = wideTopics(names).map((topic) => counts.get(topic) ?? 0);
  return found.includes(0) ? undefined : Math.min(...found);
}

const describeCounts = (names: TopicNames, counts: PartitionCounts): string =>
  wideTopics(names)
    .map((topic) => `${topic} has ${counts.get(topic) ?? 0}`)
    .join(', ');
