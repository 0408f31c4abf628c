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
 * At the edge of its latency budget a message that has no answer yet gets a provisional outcome of the local model, while
 * its call goes on (docs/architecture.md). A message whose budget was over when work on it began, or that is replayed,
 * gets none: no bot waits for its answer.
 */
export class EarlyAnswers {
  readonly #options: EarlyAnswersOptions;
  readonly #edge = new BudgetEdge<WorkItem>((item) => void this.#answer(item));

  constructor(options: EarlyAnswersOptions) {
    this.#options = options;
  }

  watch(item: WorkItem): void {
    const { leftMs, isReplay } = item;
    if (leftMs <= 0 || isReplay) return;
    // Past the edge already and not past the deadline: at once.
    this.#edge.add(item, Math.max(leftMs - this.#options.marginMs, 1));
  }

  close(): void {
    this.#edge.close();
  }

  /** As soon as the local model's share of the time allows, if that is before the deadline. */
  async #answer(item: WorkItem): Promise<void> {
    const { fallback, emitter, metrics, log } = this.#options;
    try {
      const insight = await fallback.inTurn(item.text, { stillWanted: () => isStillWanted(item) });
      if (insight) emitter.provisional(item, insight);
      if (insight || isWithoutAnswer(item)) metrics.provisional.inc({ result: insight ? 'sent' : 'no_cpu' });
    } catch (error) {
      const { partition, offset } = item.source;
      log.error({ err: error, partition, offset }, 'the local model failed on a text');
    }
  }
}

const isWithoutAnswer = ({ settled, claim }: WorkItem): boolean => !settled && claim.active;
const isStillWanted = (item: WorkItem): boolean => isWithoutAnswer(item) && performance.now() < item.hedgeUntilMs;
