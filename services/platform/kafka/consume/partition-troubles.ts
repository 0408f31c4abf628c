import type { ErrorCode } from '../../../core/errors.ts';
import type { Logger } from '../../logger.ts';
import type { Metrics } from '../../metrics.ts';

/** What keeps a partition from being read, or its offsets from being committed; the detail is for people. */
export type TroubleCode = Extract<
  ErrorCode,
  'OFFSET_BEYOND_LOG_END' | 'CONSUMER_REFUSED' | 'PARTITION_LEADERLESS' | 'COMMIT_REFUSED'
>;

const WORDS: Readonly<Record<TroubleCode, string>> = {
  OFFSET_BEYOND_LOG_END: 'the committed offset lies beyond the end of the log: the partition is stopped',
  CONSUMER_REFUSED: 'Kafka refuses to let the partition be read: it is tried again and again',
  PARTITION_LEADERLESS: 'the partition has no leader: it is read again once a broker with a replica is back',
  COMMIT_REFUSED: 'Kafka refuses the commits of the partition: what is not committed is done again after a restart',
};

interface Place {
  readonly topic: string;
  readonly partition: number;
}

/** Which of the partitions held cannot go on, and why: for the log once, for metrics and readiness as long as it lasts. */
export class PartitionTroubles {
  readonly #log: Logger;
  readonly #held = new Map<string, Place & { readonly troubles: Map<TroubleCode, string> }>();

  constructor(log: Logger, metrics: Metrics) {
    this.#log = log;
    const labels = ['topic', 'partition'] as const;
    const export_ = (name: string, help: string, codes: readonly TroubleCode[]) =>
      metrics.gauge(name, help, labels, (gauge) => {
        gauge.reset();
        for (const { topic, partition, troubles } of this.#held.values()) {
          gauge.set({ topic, partition: String(partition) }, codes.some((code) => troubles.has(code)) ? 1 : 0);
        }
      });
    export_(
      'parley_partition_stopped',
      '1 while a partition is not read: its committed offset lies beyond the end of the log, Kafka refuses, or it has no leader',
      ['OFFSET_BEYOND_LOG_END', 'CONSUMER_REFUSED', 'PARTITION_LEADERLESS'],
    );
    export_('parley_commit_refused', '1 while Kafka refuses the commits of a partition', ['COMMIT_REFUSED']);
  }

  /** @param detail undefined once it is over. */
  report(topic: string, partition: number, code: TroubleCode, detail: string | undefined): void {
    const key = `${topic}/${partition}`;
    const held = this.#held.get(key) ?? { topic, partition, troubles: new Map() };
    this.#held.set(key, held);
    const before = held.troubles.get(code);
    if (detail === undefined) {
      if (before !== undefined) this.#log.info({ code, topic, partition }, 'the partition goes on');
      held.troubles.delete(code);
    } else {
      if (before !== detail) this.#log.error({ code, topic, partition, detail }, WORDS[code]);
      held.troubles.set(code, detail);
    }
  }

  /** The partition is no longer ours. */
  forget(topic: string, partition: number): void {
    this.#held.delete(`${topic}/${partition}`);
  }

  /** @throws naming the first partition that cannot go on, and how many more there are. */
  assertNone(): void {
    const all = [...this.#held.values()].filter(({ troubles }) => troubles.size > 0);
    const [first] = all;
    if (!first) return;
    const [code, detail] = [...first.troubles][0] as [TroubleCode, string];
    const more = all.length > 1 ? `, and ${all.length - 1} more partitions` : '';
    throw new Error(`${first.topic}/${first.partition} cannot go on: ${code}, ${detail}${more}`);
  }
}
