import type { Logger } from './logger.ts';

const SAY_EVERY_MS = 10_000;

/** What `work` gives. While it takes long, the log says what the start waits for: a start has no bound of its own. */
export async function startStep<T>(log: Logger, what: string, work: Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const timer = setInterval(() => {
    log.warn({ step: what, waited_ms: Math.round(performance.now() - startedMs) }, 'the start takes long');
  }, SAY_EVERY_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
