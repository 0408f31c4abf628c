import type { Claim } from '../platform/kafka/consume/claim.ts';
import { decodeCommit } from './intent.ts';

/** What is read of Kafka here; `ClusterView` offers it. */
interface LayoutReader {
  partitionCount(topic: string): Promise<number>;
  commits(
    group: string,
    topic: string,
  ): Promise<ReadonlyMap<number, { readonly offset: number; readonly metadata: string }>>;
}

export interface SinkLayoutOptions {
  readonly kafka: LayoutReader;
  readonly topic: string;
  readonly group: string;
  /** Partitions of chat.enriched: sources are at home by this count as long as this layout is used. */
  readonly partitions: number;
}

const LOOK_EVERY_MS = 5_000;

/** By which partition count of chat.enriched sources are at home, here and in the other sinks of the group. */
export class SinkLayout {
  readonly partitions: number;
  readonly #options: SinkLayoutOptions;

  constructor(options: SinkLayoutOptions) {
    this.partitions = options.partitions;
    this.#options = options;
  }

  /**
   * Whether every partition is read by our count, as its last commit says. One without a commit has nothing under way;
   * a commit of before ADR 19 names no count, and fits every count that is not below that of the sources.
   */
  async isAgreed({ topicId }: Pick<Claim, 'topicId'>): Promise<boolean> {
    const commits = await this.#options.kafka.commits(this.#options.group, this.#options.topic);
    return [...commits.values()].every(({ offset, metadata }) => {
      const state = decodeCommit(metadata, topicId, offset);
      const layout = 'layout' in state ? state.layout : undefined;
      return layout === undefined || layout === this.partitions;
    });
  }

  /** Calls `onGrowth` once, with the topic's new number of partitions. @returns what ends the watch. */
  watch(onGrowth: (partitions: number) => void): () => void {
    const { kafka, topic } = this.#options;
    const timer = setInterval(async () => {
      // A Kafka that is away is reported by what else needs it.
      const count = await kafka.partitionCount(topic).catch(() => 0);
      if (count === 0 || count === this.partitions) return;
      clearInterval(timer);
      onGrowth(count);
    }, LOOK_EVERY_MS);
    timer.unref();
    return () => clearInterval(timer);
  }
}
