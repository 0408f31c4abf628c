import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, it } from '@jest/globals';
import { eventually } from '../../services/core/testing/eventually.ts';
import { freePort } from '../../services/local/testing/stack.ts';
import { drawTrace, waterfallOf } from './waterfall.ts';

const TRACE_ID = 'a'.repeat(32);
const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } });
const nanos = (ms: number) => String(BigInt(ms) * 1_000_000n);

/** A span in OTLP's JSON, of a trace that began at 1,000 ms. */
const span = (name: string, id: string, parent: string, fromMs: number, toMs: number, failed = false) => ({
  traceId: TRACE_ID,
  spanId: id.padEnd(16, '0'),
  parentSpanId: parent === '' ? '' : parent.padEnd(16, '0'),
  name,
  kind: 4,
  startTimeUnixNano: nanos(1_000 + fromMs),
  endTimeUnixNano: nanos(1_000 + toMs),
  attributes: [],
  events: name === 'process' ? [{ name: 'started', timeUnixNano: nanos(1_000 + fromMs + 1) }] : [],
  links: [],
  status: failed ? { code: 2 } : {},
});
const ofService = (service: string, ...spans: object[]) =>
  JSON.stringify({
    resourceSpans: [{ resource: { attributes: [attribute('service.name', service)] }, scopeSpans: [{ spans }] }],
  });

const run = (...args: string[]) => spawn(process.execPath, [new URL('main.ts', import.meta.url).pathname, ...args]);
const outcomeOf = async (child: ChildProcess) => {
  const told = [child.stdout, child.stderr].map((stream) => text(stream as NodeJS.ReadableStream));
  const [code] = (await once(child, 'exit')) as [number];
  const [out, err] = await Promise.all(told);
  return { code, out, err };
};

it('receives the spans of several services and gives their trace as a waterfall', async () => {
  const port = await freePort();
  const child = run('--port', String(port), '--traces', '1', '--quiet-ms', '300', '--json');
  const outcome = outcomeOf(child);
  const send = async (body: string) => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`http://127.0.0.1:${port}/v1/traces`, { method: 'POST', body, headers });
    expect(response.status).toBe(200);
  };
  await eventually(() =>
    send(ofService('parley-enricher', span('call', 'c', 'b', 30, 200), span('process', 'b', 'a', 20, 230))),
  );
  await send(ofService('parley-gateway', span('send', 'a', '', 0, 12)));
  const { code, out } = await outcome;
  expect(code).toBe(0);
  expect(JSON.parse(out ?? '')).toMatchObject({
    traces: [
      {
        trace_id: TRACE_ID,
        spans: [
          { service: 'parley-gateway', name: 'send', depth: 0, offset_ms: 0, duration_ms: 12 },
          { service: 'parley-enricher', name: 'process', depth: 1, offset_ms: 20, duration_ms: 210 },
          { service: 'parley-enricher', name: 'call', depth: 2, offset_ms: 30, duration_ms: 170 },
        ],
      },
    ],
  });
}, 30_000);

it('says what is wrong with its options', async () => {
  const wrong = "option '--traces <n>' argument 'many' is invalid. Allowed is an integer";
  expect(await outcomeOf(run('--traces', 'many'))).toMatchObject({ code: 2, err: expect.stringContaining(wrong) });
  expect(await outcomeOf(run('--help'))).toMatchObject({ code: 0, out: expect.stringContaining('OTEL_EXPORTER_OTLP') });
});

it('draws bars in proportion, failures as such, and spans whose parent did not come', () => {
  const base = { service: 's', traceId: TRACE_ID, traceState: '', kind: 'client', attributes: {}, links: [] } as const;
  const rows = waterfallOf([
    { ...base, name: 'late', spanId: '2', parentSpanId: 'unknown', startMs: 75, endMs: 100, events: [], failed: true },
    { ...base, name: 'whole', spanId: '1', parentSpanId: '', startMs: 0, endMs: 100, events: [], failed: false },
  ]);
  const [title, whole, late] = drawTrace(TRACE_ID, rows).split('\n');
  expect(title).toBe(`trace ${TRACE_ID}`);
  expect(whole).toContain(`|${'█'.repeat(40)}|`);
  expect(late).toContain(`75.0     25.0 ms  |${' '.repeat(30)}${'x'.repeat(10)}|`);
});
