#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { messageOf } from '../../services/core/errors.ts';
import { interruptSignal } from '../kit/run-command.ts';
import { type ChaosReport, runClientChaos } from './run.ts';

const HELP = `Does a gateway at its worst end, stall or fool a bot's process? Garbage, closes at every moment, wrong acks, floods, silence,
slow and refused handshakes, half-open links, beside clients whose listeners and token providers throw; then an honest gateway.

usage: npm run load -- client-chaos [options]

  --seconds N   how long the worst lasts (default 60)
  --seed N      of the faults (default: drawn, and printed)
  --clients N   bots in the host's process (default 8)
  --host CMD    another host than the TypeScript client's, as one text: services/client-python/tests/chaos_host.py is Python's
  --json        one JSON document on stdout
  --help        this text

Exit codes: 0 nothing escaped, every message settled once and as the gateway said, memory kept its bound; 1 otherwise; 2 wrong usage.
`;

function usage(why: string): never {
  process.stderr.write(`client-chaos: ${why}\n\n${HELP}`);
  process.exit(2);
}

function options() {
  try {
    const text = { type: 'string' } as const;
    const flags = { json: { type: 'boolean' }, help: { type: 'boolean' } } as const;
    return parseArgs({ options: { seconds: text, seed: text, clients: text, host: text, ...flags } }).values;
  } catch (error) {
    return usage(messageOf(error));
  }
}

function countOf(name: string, value: string | undefined, fallback: number): number {
  const count = value === undefined ? fallback : Number(value);
  return Number.isSafeInteger(count) && count >= 1
    ? count
    : usage(`--${name} is ${value}; allowed is an integer from 1`);
}

function textOf({ violations, faults, ...figures }: ChaosReport): string {
  const { seed, sent, acked, refused, reconnects, resent, heapMiB } = figures;
  const drawn = Object.entries(faults).toSorted(([, a], [, b]) => b - a);
  return [
    `seed ${seed}: ${sent} messages, ${acked} acked, ${refused} refused as the gateway said`,
    `${reconnects} reconnects, ${resent} messages sent again, heap ${heapMiB.first} MiB at first and ${heapMiB.most} at most`,
    ...drawn.map(([fault, count]) => `${String(count).padStart(8)} ${fault}`),
    violations.length === 0 ? 'The host has noticed nothing.' : violations.map((it) => `VIOLATION ${it}`).join('\n'),
  ].join('\n');
}

const { seconds, seed, clients, host, json, help } = options();
if (help) process.stdout.write(HELP);
else {
  const report = await runClientChaos(
    {
      seconds: countOf('seconds', seconds, 60),
      seed: countOf('seed', seed, 1 + Math.floor(Math.random() * 1e6)),
      clients: countOf('clients', clients, 8),
      host: host?.split(' '),
    },
    interruptSignal(),
  );
  process.stdout.write(`${json ? JSON.stringify(report) : textOf(report)}\n`);
  process.exitCode = report.violations.length === 0 ? 0 : 1;
}
