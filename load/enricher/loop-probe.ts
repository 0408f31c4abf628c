import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

/**
 * Loaded into a system with `--import`: watches how late its event loop is and, when it ends, writes that to the file
 * that PROBE_FILE names. SIGUSR2 starts over, so that loading the program does not count.
 */
const RESOLUTION_MS = 10;
const file = process.env['PROBE_FILE'];

if (file && isMainThread) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  process.on('SIGUSR2', () => delay.reset());
  // The histogram holds the time between two ticks of its timer.
  const late = (nanos: number) => Math.max(nanos / 1e6 - RESOLUTION_MS, 0);
  process.on('exit', () => {
    const summary = { p50: late(delay.percentile(50)), p99: late(delay.percentile(99)), max: late(delay.max) };
    writeFileSync(file, JSON.stringify(summary));
  });
}
