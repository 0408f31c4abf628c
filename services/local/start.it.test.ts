import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { kafkaProbe } from './parts/probes.ts';
import { identify } from './process/identity.ts';
import { launcher, type ReadyDocument } from './testing/launcher.ts';
import { stack } from './testing/stack.ts';

let local: Awaited<ReturnType<typeof launcher>>;
beforeAll(async () => {
  local = await launcher();
});
afterAll(() => local.cleanUp());

const JAVA = ['--only', 'kafka,registry', '--json'];

function part(ready: ReadyDocument, name: string) {
  const found = ready.parts.find((candidate) => candidate.name === name);
  if (!found?.address) throw new Error(`${name} is not in ${JSON.stringify(ready)}`);
  return { address: found.address, pid: found.pid ?? 0 };
}

/** So many that the registry takes a while to read them back. */
const KEPT = Array.from({ length: 60 }, (_, n) => `kept-${n}-value`);

async function registerSchema(registry: string, subject: string): Promise<void> {
  const response = await fetch(`${registry}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify({ type: 'record', name: 'Kept', fields: [] }) }),
  });
  if (!response.ok) throw new Error(await response.text());
}

const subjects = async (registry: string): Promise<unknown> => (await fetch(`${registry}/subjects`)).json();

describe('npm start with the real broker and registry', () => {
  it('comes back after kill -9 of the supervisor with everything that was stored', async () => {
    const killed = await local.launch(JAVA);
    const before = await killed.ready();
    for (const subject of KEPT) await registerSchema(part(before, 'registry').address, subject);
    killed.signal('SIGKILL');
    await killed.exited;

    const next = await local.launch(JAVA);
    const after = await next.ready();
    for (const name of ['kafka', 'registry']) expect(await identify(part(before, name).pid)).toBeUndefined();
    await kafkaProbe([part(after, 'kafka').address])({ pid: undefined, signal: AbortSignal.timeout(5_000) });
    // The registry says ready only once it has read its topic back.
    expect(new Set((await subjects(part(after, 'registry').address)) as string[])).toEqual(new Set(KEPT));
    next.signal('SIGTERM');
    expect((await next.exited).code).toBe(0);
    expect(next.output()).toMatch(/registry +stopped.*\n +kafka +stopped/);
  }, 120_000);

  it('starts nothing for which an address is given', async () => {
    const { kafkaBrokers, registryUrl, clickhouseUrl, nlpUrl } = stack();
    const run = await local.launch(['--only', 'kafka,registry,clickhouse,nlp', '--json'], {
      KAFKA_BROKERS: kafkaBrokers,
      SCHEMA_REGISTRY_URL: registryUrl,
      CLICKHOUSE_URL: clickhouseUrl,
      NLP_URL: nlpUrl,
    });
    const { parts } = await run.ready();
    expect(parts).toEqual(
      [
        ['kafka', kafkaBrokers],
        ['registry', registryUrl],
        ['clickhouse', clickhouseUrl],
        ['nlp', nlpUrl],
      ].map(([name, address]) => ({ name, address, pid: null, external: true })),
    );
    run.signal('SIGTERM');
    expect((await run.exited).code).toBe(0);
  });
});
