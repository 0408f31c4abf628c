import { messageOf } from '../../../core/errors.ts';
import type { Logger } from '../../logger.ts';
import { refusalOf } from '../rights.ts';
import type { PartitionQueue } from './partition-queue.ts';
import type { Answer } from './produce-answers.ts';

/** A leader that moves answers once or twice with an error: what lasts longer is worth a line. */
const LASTING_FAILURES = 4;

/** Says once of each partition that Kafka does not take its records, and once that it does again. */
export class RefusalLog {
  readonly #log: Logger;
  /** The error code by partition: as many entries as a lane has partitions. */
  readonly #refused = new Map<PartitionQueue, string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  note(queue: PartitionQueue, { code, verdict }: Answer): void {
    const { topic, partition } = queue;
    if (verdict === 'stored') {
      if (this.#refused.size > 0 && this.#refused.delete(queue)) {
        this.#log.info({ topic, partition }, 'Kafka takes the records of this partition again');
      }
      return;
    }
    if (this.#refused.get(queue) === code || (verdict !== 'held' && queue.failures < LASTING_FAILURES)) return;
    this.#refused.set(queue, code);
    const fields = { topic, partition, error: code };
    if (verdict === 'held') {
      const why = refusalOf(code, 'Write', 'topic', topic);
      this.#log.error(
        { code: 'PRODUCE_REFUSED', ...fields },
        `Kafka refuses the records of this partition until a right or a setting is changed (${why}); they wait`,
      );
    } else this.#log.warn(fields, 'Kafka did not take the records of this partition; they are sent again');
  }

  failed(leader: number, error: unknown): void {
    this.#log.warn({ err: messageOf(error), node: leader }, 'a send had no answer; its records are sent again');
  }
}
