import { setTimeout as delay } from 'node:timers/promises';
import type { Turn } from '../kit/chats.ts';
import { median } from '../kit/percentiles.ts';
import type { ProcSample } from '../kit/proc-stat.ts';
import { Bench, type RunContext } from './bench.ts';
import { loadEvents } from './messages.ts';
import type { SystemUnderTest } from './system-under-test.ts';

export interface SoakOptions {
  readonly durationMs: number;
  readonly env: Readonly<Record<string, string>>;
  readonly chats: Iterator<readonly Turn[], void>;
}

export interface SoakReport {
  /** Memory is flat and below the bound. */
  readonly ok: boolean;
  readonly seconds: number;
  readonly outcomes: number;
  readonly most_in_flight: number;
  readonly max_rss_mb: number;
  /** Median of each tenth of the run. */
  readonly rss_mb: readonly number[];
}

/** Kept waiting in the topic, so that the system is never short of work. */
const BACKLOG = 30_000;
const CHUNK = 5_000;
const POLL_MS = 200;
const PARTS = 10;
const BOUND_MB = 450;
/** The last tenths may lie above those after the first third by so much: what a garbage collector leaves is not flat. */
const FLAT = 1.1;

/** The enricher at full speed for long. */
export async function soakRun(options: SoakOptions, context: RunContext): Promise<SoakReport> {
  const bench = await Bench.open(context, loadEvents(options.chats));
  try {
    await context.api.reset(0);
    await bench.source.preload(BACKLOG);
    const system = await bench.start('parley', options.env);
    const startedMs = performance.now();
    await feed(bench, system, startedMs + options.durationMs, context);
    const outcomes = await bench.outcomes();
    const { most_in_flight } = await context.api.stats();
    return soakReport(system.samples, { outcomes, most_in_flight, seconds: (performance.now() - startedMs) / 1_000 });
  } finally {
    await bench.close();
  }
}

async function feed(
  bench: Bench,
  system: SystemUnderTest,
  untilMs: number,
  { progress, signal }: RunContext,
): Promise<void> {
  let toldMs = performance.now();
  for (let sent = BACKLOG; performance.now() < untilMs; ) {
    signal.throwIfAborted();
    if (system.ended) throw new Error(`the system ended by itself:\n${system.lastWords}`);
    const done = await bench.outcomes();
    if (sent - done < BACKLOG) {
      await bench.source.preload(CHUNK);
      sent += CHUNK;
    } else await delay(POLL_MS);
    if (performance.now() - toldMs < 10_000) continue;
    toldMs = performance.now();
    progress(`  ${done} outcomes, ${Math.round((system.samples.at(-1)?.rssBytes ?? 0) / 2 ** 20)} MB`);
  }
}

export function soakReport(
  samples: readonly ProcSample[],
  counts: Pick<SoakReport, 'outcomes' | 'most_in_flight' | 'seconds'>,
): SoakReport {
  const size = Math.max(Math.floor(samples.length / PARTS), 1);
  const rssMb = Array.from({ length: PARTS }, (_, part) =>
    Math.round(median(samples.slice(part * size, (part + 1) * size).map(({ rssBytes }) => rssBytes)) / 2 ** 20),
  );
  const maxMb = Math.round(samples.reduce((most, { rssBytes }) => Math.max(most, rssBytes), 0) / 2 ** 20);
  const flat = Math.max(...rssMb.slice(-3)) <= Math.max(...rssMb.slice(3, 6)) * FLAT;
  return { ok: flat && maxMb <= BOUND_MB, ...counts, max_rss_mb: maxMb, rss_mb: rssMb };
}
