import { afterAll, describe, expect, it } from '@jest/globals';
import { AdminServer, type Checks } from './admin-server.ts';
import { Metrics } from './metrics.ts';

const servers: AdminServer[] = [];
afterAll(async () => {
  for (const server of servers) await server.stop();
});

async function serve(
  checks: Checks,
  { accepting = (): boolean => true, host = '127.0.0.1', advisory = {} as Checks } = {},
) {
  const server = await AdminServer.start({
    port: 0,
    fallbackToFreePort: false,
    host,
    metrics: new Metrics('test'),
    checks,
    advisory,
    accepting,
  });
  servers.push(server);
  const get = async (path: string) => (await fetch(`http://${host}:${server.port}${path}`)).text();
  return { get, metric: async (name: string) => linesOf(await get('/metrics'), name) };
}

const linesOf = (exposition: string, name: string) =>
  exposition.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));

describe('readiness as metrics', () => {
  it('says what /readyz says, at each scrape', async () => {
    let kafka = true;
    const { get, metric } = await serve({
      kafka: async () => {
        if (!kafka) throw new Error('away');
        return {};
      },
      registry: async () => ({ version: '3' }),
    });
    expect(await metric('parley_ready')).toEqual(['parley_ready{service="test"} 1']);
    kafka = false;
    expect(JSON.parse(await get('/readyz'))).toMatchObject({ ready: false });
    expect(await metric('parley_ready')).toEqual(['parley_ready{service="test"} 0']);
    expect(await metric('parley_dependency_up')).toEqual([
      'parley_dependency_up{dependency="kafka",service="test"} 0',
      'parley_dependency_up{dependency="registry",service="test"} 1',
    ]);
    kafka = true;
    expect(await metric('parley_ready')).toEqual(['parley_ready{service="test"} 1']);
  });

  it('reports a dependency that it can do without, and is ready all the same', async () => {
    const away = async () => {
      throw new Error('away');
    };
    const { get, metric } = await serve({ kafka: async () => ({}) }, { advisory: { registry: away } });
    expect(JSON.parse(await get('/readyz'))).toMatchObject({
      ready: true,
      dependencies: { kafka: { state: 'up' }, registry: { state: 'down', error: 'away', gates: false } },
    });
    expect(await metric('parley_dependency_up')).toContain(
      'parley_dependency_up{dependency="registry",service="test"} 0',
    );
  });

  it('is not ready while draining, whatever the dependencies say', async () => {
    const { metric } = await serve({}, { accepting: () => false });
    expect(await metric('parley_ready')).toEqual(['parley_ready{service="test"} 0']);
  });

  it('runs each check once a scrape, and a hanging one holds the scrape up for its bound alone', async () => {
    let runs = 0;
    const { metric } = await serve({
      hangs: () => {
        runs++;
        return new Promise(() => {});
      },
    });
    expect(await metric('parley_dependency_up')).toEqual(['parley_dependency_up{dependency="hangs",service="test"} 0']);
    expect(runs).toBe(1);
  });
});

it('listens on the given host alone', async () => {
  const { get } = await serve({}, { host: '127.0.0.2' });
  expect(JSON.parse(await get('/healthz'))).toEqual({ alive: true });
  const port = servers.at(-1)?.port;
  await expect(fetch(`http://127.0.0.3:${port}/healthz`)).rejects.toThrow('fetch failed');
});
