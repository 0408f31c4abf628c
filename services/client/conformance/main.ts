#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DriverProcess } from './driver-process.ts';
import { runScenario, type Verdict } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';

const HELP = `Holds a client of Parley's protocol against its rules: a gateway that says what a scenario tells it, beside the client in a
program of yours that takes commands on its standard input (README.md has both languages).

usage: node services/client/conformance/main.ts [options] -- COMMAND…

  --only NAME      a scenario; may be given several times
  --skip NAME      a scenario that does not hold for this client, named in the verdict
  --step-ms N      how long a step may take (default 5000)
  --list           the scenarios and their rules
  --json           the verdict as one JSON document
  --help           this text

Exit codes: 0 every scenario has passed; 1 one has failed; 2 wrong usage.
`;

const SCENARIOS = JSON.parse(readFileSync(join(import.meta.dirname, 'scenarios.json'), 'utf8')) as readonly Scenario[];

function usage(why: string): never {
  process.stderr.write(`conformance: ${why}\n\n${HELP}`);
  process.exit(2);
}

function options() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        only: { type: 'string', multiple: true, default: [] },
        skip: { type: 'string', multiple: true, default: [] },
        'step-ms': { type: 'string', default: '5000' },
        list: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return { ...values, command: positionals };
  } catch (error) {
    return usage((error as Error).message);
  }
}

function chosen(only: readonly string[], skip: readonly string[]): readonly Scenario[] {
  const unknown = [...only, ...skip].filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown.length > 0) usage(`there is no scenario ${unknown.join(', ')}; --list names them`);
  return SCENARIOS.filter(({ name }) => (only.length === 0 || only.includes(name)) && !skip.includes(name));
}

/** All at once: what takes time is waiting. */
async function verdictsOn(
  scenarios: readonly Scenario[],
  command: readonly string[],
  stepMs: number,
): Promise<Verdict[]> {
  let fail: (why: string) => void = () => {};
  const ended = new Promise<string>((resolve) => {
    fail = resolve;
  });
  const driver = new DriverProcess(command, fail);
  try {
    const run = async (scenario: Scenario): Promise<Verdict> => {
      const { name, rule } = scenario;
      const lost = ended.then((why): Verdict => ({ name, rule, verdict: 'failed', why }));
      return Promise.race([runScenario(scenario, driver.client(name), stepMs), lost]);
    };
    return await Promise.all(scenarios.map(run));
  } finally {
    driver.stop();
  }
}

const { only, skip, list, json, help, command, 'step-ms': stepMs } = options();
if (help) process.stdout.write(HELP);
else if (list) for (const { name, rule } of SCENARIOS) process.stdout.write(`${name}: ${rule}\n`);
else {
  if (command.length === 0) usage('which program drives the client? give its command after --');
  if (!(Number(stepMs) > 0)) usage(`--step-ms is ${stepMs}; allowed is a number of milliseconds`);
  const verdicts = await verdictsOn(chosen(only, skip), command, Number(stepMs));
  const failed = verdicts.filter(({ verdict }) => verdict === 'failed');
  if (json)
    process.stdout.write(`${JSON.stringify({ passed: verdicts.length - failed.length, failed, skipped: skip })}\n`);
  else {
    for (const { name, verdict, why } of verdicts) process.stdout.write(`${verdict} ${name}${why ? `: ${why}` : ''}\n`);
    process.stdout.write(`${verdicts.length - failed.length} of ${verdicts.length} scenarios passed\n`);
  }
  // At once, also where a scenario still waits for a driver that is gone.
  process.stdout.write('', () => process.exit(failed.length > 0 ? 1 : 0));
}
