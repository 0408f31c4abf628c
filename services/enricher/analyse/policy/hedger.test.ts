import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Cancellation, SUPERSEDED } from '../cancellation.ts';
import { HedgedRequest, type HedgeResult, Hedger } from './hedger.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const FAR = Number.POSITIVE_INFINITY;

interface Sent {
  readonly cancellation: Cancellation;
  readonly answer: (value: string) => void;
  readonly fail: (error: Error) => void;
}

/** A hedger that has seen 128 answers between 10 and 137 ms, and the calls that it makes. */
function hedgerWith({ share = 0.05, mayHedge = () => true }: { share?: number; mayHedge?: () => boolean } = {}) {
  const results: HedgeResult[] = [];
  const sent: Sent[] = [];
  const hedger = new Hedger({ share, mayHedge, onHedge: (result) => results.push(result) });
  for (let n = 0; n < 128; n++) hedger.observe(10 + n);
  class Asked extends HedgedRequest<string> {
    readonly answer: Promise<string>;
    #settle!: { readonly succeeded: (value: string) => void; readonly failed: (error: unknown) => void };

    constructor(untilMs: number) {
      super(hedger, untilMs);
      this.answer = new Promise((succeeded, failed) => {
        this.#settle = { succeeded, failed };
      });
    }
    protected attempt(): Cancellation {
      const cancellation = new Cancellation();
      const answer = (value: string) => this.attemptSucceeded(cancellation, value);
      sent.push({ cancellation, answer, fail: (error) => this.attemptFailed(error) });
      return cancellation;
    }
    protected succeeded(value: string): void {
      this.#settle.succeeded(value);
    }
    protected failed(error: unknown): void {
      this.#settle.failed(error);
    }
  }
  const run = (untilMs = FAR) => {
    const asked = new Asked(untilMs);
    hedger.run(asked);
    return asked.answer;
  };
  /** Calls that are answered at once, so that hedges are saved up. */
  const save = async (calls: number) => {
    for (let n = 0; n < calls; n++) {
      const answer = run();
      sent.pop()?.answer('quick');
      await answer;
    }
  };
  return { run, sent, results, save };
}

describe('Hedger', () => {
  it('sends a second call once the first is slower than 95 of 100, and takes the quicker one', async () => {
    const { run, sent, results, save } = hedgerWith();
    await save(40);
    const answer = run();
    await jest.advanceTimersByTimeAsync(120);
    expect(sent).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(30);
    expect(sent).toHaveLength(2);
    sent[1]?.answer('second');
    expect(await answer).toBe('second');
    expect(sent[0]?.cancellation.reason).toBe(SUPERSEDED);
    expect(results).toEqual(['won']);
  });

  it('takes the first call where that is quicker after all, and gives the second up', async () => {
    const { run, sent, results, save } = hedgerWith();
    await save(40);
    const answer = run();
    await jest.advanceTimersByTimeAsync(200);
    sent[0]?.answer('first');
    expect(await answer).toBe('first');
    expect(sent[1]?.cancellation.reason).toBe(SUPERSEDED);
    expect(results).toEqual(['lost']);
  });

  it('fails only when both have failed', async () => {
    const { run, sent, results, save } = hedgerWith();
    await save(40);
    const survived = run();
    const failed = run();
    failed.catch(() => undefined);
    await jest.advanceTimersByTimeAsync(200);
    const [first, other, second, otherSecond] = sent;
    first?.fail(new Error('first'));
    second?.answer('second');
    other?.fail(new Error('first'));
    otherSecond?.fail(new Error('second'));
    expect(await survived).toBe('second');
    await expect(failed).rejects.toThrow('second');
    expect(results).toEqual(['won', 'failed']);
  });

  it('lets a failure through at once when there is no second call', async () => {
    const { run, sent } = hedgerWith();
    const answer = run();
    answer.catch(() => undefined);
    sent[0]?.fail(new Error('refused'));
    await expect(answer).rejects.toThrow('refused');
    await jest.advanceTimersByTimeAsync(1_000);
    expect(sent).toHaveLength(1);
  });

  it('makes no more extra calls than its share, whatever hangs', async () => {
    const { run, sent } = hedgerWith({ share: 0.05 });
    for (let n = 0; n < 400; n++) void run();
    await jest.advanceTimersByTimeAsync(1_000);
    expect(sent.length - 400).toBe(20);
  });

  it.each([
    ['the answer would be late anyway', {}, 150],
    ['the API has too much', { mayHedge: () => false }, FAR],
    ['hedging is off', { share: 0 }, FAR],
  ])('sends none when %s', async (_why, options, untilMs) => {
    const { run, sent, save } = hedgerWith(options);
    await save(100);
    sent.length = 0;
    void run(performance.now() + untilMs);
    await jest.advanceTimersByTimeAsync(2_000);
    expect(sent).toHaveLength(1);
  });
});
