/** npm passes a Ctrl-C on although the terminal has sent it to us already: one keypress arrives twice. */
const SAME_KEYPRESS_MS = 500;

/**
 * Calls `onFirst` at the first INT, TERM or HUP and `onSecond` at the next one that is not an echo of it.
 *
 * @returns a function that takes the handlers away.
 */
export function onStopSignals(onFirst: () => void, onSecond: () => void): () => void {
  let firstAtMs: number | undefined;
  const handle = () => {
    const nowMs = performance.now();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      onFirst();
    } else if (nowMs - firstAtMs > SAME_KEYPRESS_MS) {
      onSecond();
    }
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, handle);
  return () => {
    for (const signal of signals) process.off(signal, handle);
  };
}
