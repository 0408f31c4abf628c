import { mkdir } from 'node:fs/promises';
import type { RunContext } from './bench.ts';
import { type BenchOptions, chatsOf } from './options.ts';
import type { RunFigures } from './run-figures.ts';
import { type RunOptions, runOnce } from './run-once.ts';
import type { SystemName } from './system-under-test.ts';

export interface BenchReport {
  /** Every message of every run got an outcome. */
  readonly ok: boolean;
  readonly options: Omit<BenchOptions, 'json'>;
  readonly node: string;
  readonly runs: Readonly<Partial<Record<SystemName, readonly RunFigures[]>>>;
}

/** All runs, the systems in turns, so that what else the machine does meets them alike. */
export async function compare({ json: _, ...options }: BenchOptions, context: RunContext): Promise<BenchReport> {
  const runs: Partial<Record<SystemName, RunFigures[]>> = {};
  if (options.profile) await mkdir(options.profile, { recursive: true });
  const rounds = options.profile ? 1 : options.runs;
  for (let round = 1; round <= rounds; round++) {
    for (const name of options.system) {
      const figures = await runOnce(name, await runOptions(name, options), context);
      context.progress(`${name}, run ${round} of ${rounds}: ${tell(figures)}`);
      runs[name] = [...(runs[name] ?? []), figures];
    }
  }
  const ok = Object.values(runs).every((all) => all.every(({ missing }) => missing === 0));
  return { ok, options, node: process.version, runs };
}

async function runOptions(name: SystemName, options: BenchOptions): Promise<RunOptions> {
  const { messages, rate, batch, env, limit, profile } = options;
  return {
    messages,
    ...(rate !== 'preloaded' && { ratePerS: rate }),
    env: { ...(batch && name === 'parley' && { NLP_BATCH: batch }), ...env },
    ...(profile && { nodeArgs: ['--cpu-prof', `--cpu-prof-dir=${profile}`, `--cpu-prof-name=${name}.cpuprofile`] }),
    chats: await chatsOf(options),
    limitMs: limit,
    ...(options.loopDelay && { probeLoop: true }),
  };
}

function tell(figures: RunFigures): string {
  const { messages_per_s, steady_messages_per_s, cpu_us_per_message, steady_cpu_us_per_message, missing } = figures;
  return [
    `${Math.round(messages_per_s)}/s (steady ${Math.round(steady_messages_per_s)}/s)`,
    `${Math.round(cpu_us_per_message)} µs a message (steady ${Math.round(steady_cpu_us_per_message)})`,
    `${figures.max_rss_mb} MB`,
    `${figures.api.most_in_flight} in flight`,
    `${figures.api.calls} calls`,
    `${missing} missing`,
  ].join(', ');
}
