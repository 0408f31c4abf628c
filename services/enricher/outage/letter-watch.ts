import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../core/errors.ts';
import type { Kafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { countSince } from '../../platform/kafka/read/log-ranges.ts';
import { scanRecords } from '../../platform/kafka/read/record-scan.ts';
import { TailReader } from '../../platform/kafka/read/tail-reader.ts';
import type { Logger } from '../../platform/logger.ts';
import { WINDOW_MS } from './storm-guard.ts';

/** Reasons of dead letters that the NLP API decided; poison is not among them. */
const OF_THE_API: ReadonlySet<string> = new Set(['nlp_rejected', 'nlp_exhausted', 'replay_exhausted']);
/** How long a start waits for the last minute of chat.dlq: without it the storm guard starts from nothing. */
const RECALL_TIMEOUT_MS = 5_000;

interface WatchOptions {
  readonly kafka: Kafka;
  /** `chat.dlq` with the prefix. */
  readonly topic: string;
  readonly log: Logger;
  readonly guard: { recall(letters: number): void; letterSeen(letters: number): void };
}

/** Counts the dead letters of all instances for the storm guard: those of the last minute at the start, then each new one. */
export class LetterWatch {
  readonly #options: WatchOptions;
  readonly #reader: TailReader;
  /** Undefined once the start is over. */
  #recalled: number | undefined = 0;
  #scanned = 0;

  private constructor(options: WatchOptions, since: number) {
    const { kafka, topic, log, guard } = options;
    this.#options = options;
    const take = (records: Buffer, from: number): number => {
      let letters = 0;
      const found = scanRecords(records, from, 'dlq-reason', ({ header }) => {
        if (OF_THE_API.has(header.toString())) letters++;
      });
      this.#scanned += found.records;
      if (this.#recalled !== undefined) this.#recalled += letters;
      else if (letters > 0) guard.letterSeen(letters);
      return found.next;
    };
    this.#reader = new TailReader({ kafka, topic, since, take, log });
  }

  /**
   * Resolves when the guard knows the last minute, or after five seconds. A Kafka that is slow, or that does not let us read
   * chat.dlq, stops no start: the guard counts this instance's own letters then, and the log says so.
   */
  static async start(options: WatchOptions): Promise<LetterWatch | undefined> {
    const { kafka, topic, log } = options;
    const since = Date.now() - WINDOW_MS;
    try {
      const records = await countSince(kafka, topic, since);
      const watch = new LetterWatch(options, since);
      await watch.#recall(records);
      return watch;
    } catch (error) {
      log.warn({ err: messageOf(error), topic }, 'dead letters cannot be read: the storm guard counts its own alone');
      return undefined;
    }
  }

  async #recall(records: number): Promise<void> {
    const { guard, log } = this.#options;
    const deadline = performance.now() + RECALL_TIMEOUT_MS;
    while (this.#scanned < records && performance.now() < deadline) await delay(10);
    if (this.#scanned < records) log.warn({ records, read: this.#scanned }, 'the last dead letters are not all read');
    if (this.#recalled) guard.recall(this.#recalled);
    this.#recalled = undefined;
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
