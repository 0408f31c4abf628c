import type { Logger } from '../../platform/logger.ts';
import type { Fallback } from '../fallback/fallback.ts';
import type { EnricherMetrics } from '../metrics.ts';
import type { OutcomeEmitter } from '../outcome-emitter.ts';
import type { WorkItem } from '../work-item.ts';
import { BudgetEdge } from './budget-edge.ts';

export interface EarlyAnswersOptions {
  readonly fallback: Fallback;
  readonly emitter: OutcomeEmitter;
  readonly metrics: EnricherMetrics;
  readonly log: Logger;
  /** How long before its deadline a message without an answer gets an early one. */
  readonly marginMs: number;
}

/**
 * Design §4.4: at the edge of its latency budget a message that has no answer yet gets a provisional outcome of the local
 * model, while its call goes on. Not where the budget was over when work on it began, nor on the replay lane: nobody
 * waits for these.
 */
export class EarlyAnswers {
  readonly #options: EarlyAnswersOptions;
  readonly #edge = new BudgetEdge<WorkItem>((item) => this.#answer(item));

  constructor(options: EarlyAnswersOptions) {
    this.#options = options;
  }

  /** @param leftMs what is left of the item's budget. */
  watch(item: WorkItem, leftMs: number): void {
    if (leftMs <= 0 || item.isReplay) return;
    // Past the edge already and not past the deadline: at once.
    this.#edge.add(item, Math.max(leftMs - this.#options.marginMs, 1));
  }

  close(): void {
    this.#edge.close();
  }

  #answer(item: WorkItem): void {
    const { fallback, emitter, metrics, log } = this.#options;
    if (item.settled || !item.claim.active) return;
    if (!fallback.isLoaded) {
      // The first ones are late by as long as it takes to load.
      fallback.load().then(
        () => this.#answer(item),
        (error: unknown) => log.error({ err: error }, 'the local model does not load: there are no early answers'),
      );
      return;
    }
    try {
      const insight = fallback.now(item.text);
      metrics.provisional.inc({ result: insight ? 'sent' : 'no_cpu' });
      if (insight) emitter.provisional(item, insight);
    } catch (error) {
      const { partition, offset } = item.source;
      log.error({ err: error, partition, offset }, 'the local model failed on a text');
    }
  }
}
