import type { Command } from 'commander';
import { type DurationMs, durationMs } from '../../core/brands.ts';
import { messageOf, ParleyError } from '../../core/errors.ts';
import { durationOption } from '../../operator/option-readers.ts';
import { readSettings, runDirOf } from '../../operator/settings.ts';
import { formatTable } from '../../operator/text-table.ts';
import { type Instance, readInstanceFiles } from '../../platform/instance-file.ts';
import { type CliContext, type CommandDeps, type CommandResult, newCommand, withAction } from '../command.ts';

const TIMEOUT_MS = 5_000;
/** So long failures become dead letters again, however many. */
const DEFAULT_GRACE_MS = durationMs(600_000);

type Enricher = Pick<Instance, 'instance' | 'admin_url'>;

/** One enricher's answer; nulls where it gave none. */
interface Released extends Enricher {
  /** What its storm guard was in: `storm` or `calm`. */
  readonly was: string | null;
  /** Records that waited. */
  readonly released: number | null;
  readonly error: string | null;
}

interface ReleaseOptions {
  readonly for: DurationMs;
  readonly url?: readonly string[];
}

export const releaseCommand = (deps: CommandDeps): Command =>
  withAction<ReleaseOptions>(
    newCommand('release', 'Ends a storm: what the storm guard holds is tried once more, then dead-lettered.')
      .option('--for <duration>', 'how long the guard stays off', durationOption, DEFAULT_GRACE_MS)
      .option('--url <admin-url...>', "enrichers' admin addresses; default: those that run in this data folder"),
    deps,
    release,
  );

async function release({ for: graceMs, url }: ReleaseOptions, { env }: CliContext): Promise<CommandResult> {
  const enrichers =
    url?.map((each) => ({ instance: each, admin_url: each.replace(/\/+$/, '') })) ?? (await running(env));
  const answers = await Promise.all(enrichers.map((enricher) => releaseOne(enricher, graceMs)));
  const released = answers.reduce((sum, answer) => sum + (answer.released ?? 0), 0);
  const ok = answers.every(({ error }) => error === null);
  const rows = answers.map(({ instance, was, released: held, error }) => [
    instance,
    was ?? '-',
    held ?? '-',
    error ?? '',
  ]);
  const table = formatTable(['ENRICHER', 'WAS', 'RELEASED', 'ERROR'], rows);
  return {
    document: { ok, released, grace_ms: graceMs, enrichers: answers },
    text: `${table}\n\n${released.toLocaleString('en')} records are tried once more.`,
    ok,
  };
}

async function running(env: CliContext['env']): Promise<Enricher[]> {
  const settings = readSettings(env);
  const instances = await readInstanceFiles(runDirOf(settings));
  const enrichers = instances.filter(({ name }) => name === 'enricher');
  if (enrichers.length === 0) {
    throw new ParleyError('NOTHING_RUNNING', `no enricher runs in ${settings.PARLEY_DATA_DIR}; name it with --url`);
  }
  return enrichers;
}

async function releaseOne({ instance, admin_url }: Enricher, graceMs: DurationMs): Promise<Released> {
  try {
    const response = await fetch(`${admin_url}/storm/release?for_ms=${graceMs}`, {
      method: 'POST',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok)
      throw new Error(`it answered ${response.status}: ${(await response.text()).slice(0, 200).trim()}`);
    const { was, released } = (await response.json()) as { was: string; released: number };
    return { instance, admin_url, was, released, error: null };
  } catch (error) {
    return { instance, admin_url, was: null, released: null, error: messageOf(error) };
  }
}
