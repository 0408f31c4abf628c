import { afterAll, describe, expect, it } from '@jest/globals';
import { httpProbe, kafkaProbe } from '../parts/probes.ts';
import { isolation, spawnService, stack, stopServices } from './stack.ts';

const probe = { pid: undefined, signal: AbortSignal.timeout(30_000) };

afterAll(stopServices);

describe('the shared test stack', () => {
  it('serves Kafka, the registry, ClickHouse and the NLP API on the addresses it gives', async () => {
    const { kafkaBrokers, registryUrl, clickhouseUrl, nlpUrl, nlpAdminUrl } = stack();
    await kafkaProbe([kafkaBrokers])(probe);
    await httpProbe(`${registryUrl}/subjects`)(probe);
    await httpProbe(`${clickhouseUrl}/ping`)(probe);
    await httpProbe(`${nlpAdminUrl}/readyz`)(probe);
    const response = await fetch(`${nlpUrl}/v1/analyze`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id: '1', text: 'Thank you, that was great!' }),
    });
    expect(await response.json()).toMatchObject({ id: '1', sentiment: { label: 'positive' } });
  });

  it('runs a service as a process of its own, which drains on TERM', async () => {
    const nlp = await spawnService('nlp');
    await nlp.ready();
    expect((await fetch(`${nlp.adminUrl}/healthz`)).status).toBe(200);
    expect(await nlp.kill()).toEqual({ code: 0, signal: null });
    expect(nlp.logs()).toContain('has stopped');
  });

  it('says why a service did not come up', async () => {
    const nlp = await spawnService('nlp', { NLP_PORT: 'many' });
    await expect(nlp.ready()).rejects.toThrow(/exit code 2[\s\S]*NLP_PORT/);
  });

  it('gives every file names of its own', () => {
    const [a, b] = [isolation('Sink restart'), isolation('Sink restart')];
    expect(a.TOPIC_PREFIX).toMatch(/^sink_restart_[0-9a-f]{8}\.$/);
    expect(a.TOPIC_PREFIX).not.toBe(b.TOPIC_PREFIX);
    expect(a.CLICKHOUSE_DATABASE).not.toBe(b.CLICKHOUSE_DATABASE);
  });
});
