import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../services/core/random.ts';
import type { HostReport } from './host.ts';
import { WorstGateway } from './worst-gateway.ts';

export interface ChaosOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly clients: number;
  /** The host's command, where it is another than the TypeScript client's; it gets the same arguments. */
  readonly host?: readonly string[] | undefined;
}

export interface ChaosReport extends Omit<HostReport, 'outcomes'> {
  readonly seed: number;
  readonly acked: number;
  readonly refused: number;
  /** How often each fault was drawn. */
  readonly faults: Readonly<Record<string, number>>;
  /** What must not be; empty where all is well. */
  readonly violations: readonly string[];
}

/** The most that the host's heap may grow, in MiB: clients that hold a hundred messages each, and a flood being read. */
const MAX_HEAP_GROWTH_MIB = 64;

const TYPESCRIPT_HOST = [process.execPath, '--expose-gc', join(import.meta.dirname, 'host.ts')];

export async function runClientChaos(
  { seconds, seed, clients, host: command = TYPESCRIPT_HOST }: ChaosOptions,
  signal?: AbortSignal,
): Promise<ChaosReport> {
  const gateway = new WorstGateway(seededRandom(seed));
  const url = await gateway.listen();
  const [program = '', ...args] = command;
  const host = spawn(program, [...args, url, `${seed}`, `${clients}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  host.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const ended = new Promise<number | null>((resolve) => host.once('close', resolve).once('error', () => resolve(null)));
  try {
    await Promise.race([sleep(seconds * 1_000, undefined, signal && { signal }).catch(() => {}), ended]);
    gateway.becomeHonest();
    host.stdin.on('error', () => {}).write('enough\n');
    const code = await ended;
    if (code !== 0) throw new Error(`the host ended with ${code} (seed ${seed})`);
    return judge(JSON.parse(output) as HostReport, gateway, seed);
  } finally {
    host.kill('SIGKILL');
    await gateway.stop();
  }
}

function judge({ outcomes, ...host }: HostReport, gateway: WorstGateway, seed: number): ChaosReport {
  const entries = Object.entries(outcomes);
  const objections = entries.flatMap(([key, outcome]) => {
    const objection = gateway.books.objection(key, outcome);
    return objection === undefined ? [] : [`${key} is ${objection}`];
  });
  const tooLarge = entries.filter(([, outcome]) => outcome === 'frame_too_large').length;
  const violations = [
    ...host.escaped,
    ...objections.slice(0, 20),
    ...(host.unsettled === 0 ? [] : [`${host.unsettled} messages never settled`]),
    ...(entries.length === host.sent ? [] : [`${host.sent} were sent, and ${entries.length} have an outcome`]),
    ...(gateway.unnoticed === 0 ? [] : [`${gateway.unnoticed} dead connections were not noticed`]),
    ...(host.ackedTwice === 0 ? [] : [`${host.ackedTwice} messages were told to be acked twice`]),
    ...(tooLarge <= gateway.books.tooBig ? [] : [`${tooLarge} messages for ${gateway.books.tooBig} closes with 1009`]),
    ...(host.heapMiB.most - host.heapMiB.first <= MAX_HEAP_GROWTH_MIB
      ? []
      : [`the heap grew from ${host.heapMiB.first} to ${host.heapMiB.most} MiB`]),
  ];
  const acked = entries.filter(([, outcome]) => outcome === 'acked').length;
  return { seed, ...host, acked, refused: entries.length - acked, faults: gateway.faults, violations };
}
