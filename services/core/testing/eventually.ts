/**
 * Waits until `probe` returns without throwing, polling every 25 ms: tests wait for a condition, never for a time.
 *
 * @throws the probe's last error, once `timeoutMs` has passed.
 */
export async function eventually<T>(probe: () => T | Promise<T>, { timeoutMs = 30_000 } = {}): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
