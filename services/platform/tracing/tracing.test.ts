import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Environment, readLeniently } from '../../core/config.ts';
import { eventually } from '../../core/testing/eventually.ts';
import type { Logger } from '../logger.ts';
import { OtlpReceiver } from '../testing/otlp-receiver.ts';
import { openTracing } from '../testing/test-tracing.ts';
import { endpointOf, ratioOf, TRACING_SPEC } from './config.ts';
import { sampledContext, traceHeaders } from './trace-context.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN_ID = '00f067aa0ba902b7';
const withParent = (traceparent: string, tracestate?: string) => ({
  traceparent: Buffer.from(traceparent),
  tracestate: tracestate === undefined ? undefined : Buffer.from(tracestate),
});
const hex = (length: number) =>
  fc
    .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })
    .filter((text) => /[^0]/.test(text));

describe('the context in record headers', () => {
  it('is read as it was written, with what other systems want passed on', () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.constantFrom(undefined, 'rojo=00f067aa0ba902b7,congo=t61'), (...ids) => {
        const [traceId, spanId, traceState] = ids;
        const context = { traceId, spanId, ...(traceState && { traceState }) };
        const { traceparent = '', tracestate } = traceHeaders(context);
        expect(sampledContext(withParent(traceparent, tracestate))).toEqual(context);
      }),
    );
  });

  it.each([...'0123456789abcdef'])('of a message is sampled when the last bit of the flags is set: 0%s', (digit) => {
    const context = sampledContext(withParent(`00-${TRACE_ID}-${SPAN_ID}-0${digit}`));
    expect(context !== undefined).toBe(Number.parseInt(digit, 16) % 2 === 1);
  });

  it.each([
    ['nothing', undefined],
    ['a text', 'tp'],
    ['version ff', `ff-${TRACE_ID}-${SPAN_ID}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN_ID}-01`],
    ['a span id of zeros', `00-${TRACE_ID}-${'0'.repeat(16)}-01`],
    ['capitals', `00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01`],
    ['more behind the flags', `00-${TRACE_ID}-${SPAN_ID}-01-extra`],
    ['a digit too many', `00-${TRACE_ID}-${SPAN_ID}-011`],
  ])('is ignored where it is none: %s', (_, traceparent) => {
    expect(sampledContext(traceparent === undefined ? {} : withParent(traceparent))).toBeUndefined();
  });

  it('is taken from a later version, and never throws whatever stands there', () => {
    expect(sampledContext(withParent(`01-${TRACE_ID}-${SPAN_ID}-01-what-comes`))).toMatchObject({ traceId: TRACE_ID });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        sampledContext({ traceparent: Buffer.from(bytes), tracestate: Buffer.from(bytes) });
      }),
    );
    const long = withParent(`00-${TRACE_ID}-${SPAN_ID}-01`, `a=${'x'.repeat(600)}`);
    expect(sampledContext(long)).toEqual({ traceId: TRACE_ID, spanId: SPAN_ID });
  });
});

const endpoint = 'http://collector:4318';
const warnings: string[] = [];
const read = (env: Environment) => {
  warnings.length = 0;
  return readLeniently(TRACING_SPEC, env, (problem) => warnings.push(problem));
};

describe('the variables', () => {
  it.each<[Environment, string | undefined]>([
    [{}, undefined],
    [{ OTEL_TRACES_SAMPLER: 'always_on' }, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: `${endpoint}/` }, `${endpoint}/v1/traces`],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${endpoint}/in` }, `${endpoint}/in`],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://b/c' }, 'http://b/c'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: 'true' }, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_EXPORTER: 'none' }, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_SAMPLER: 'always_off' }, undefined],
    // A message that another service began to trace is followed.
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, `${endpoint}/v1/traces`],
  ])('%j send spans to %s', (env, expected) => {
    expect(endpointOf(read(env))).toBe(expected);
  });

  it.each<[Environment, number]>([
    [{}, 0.01],
    [{ OTEL_TRACES_SAMPLER_ARG: '0.25' }, 0.25],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.5' }, 0.5],
    [{ OTEL_TRACES_SAMPLER: 'always_on', OTEL_TRACES_SAMPLER_ARG: '0.5' }, 1],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_always_on' }, 1],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, 0],
  ])('%j trace this share of the messages: %d', (env, expected) => {
    expect(ratioOf(read(env))).toBe(expected);
  });

  it.each<[Environment, string]>([
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'OTEL_EXPORTER_OTLP_PROTOCOL is "grpc"'],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_jaeger_remote' }, 'OTEL_TRACES_SAMPLER is "parentbased_jaeger_remote"'],
    [{ OTEL_TRACES_SAMPLER_ARG: '1.5' }, 'OTEL_TRACES_SAMPLER_ARG is "1.5"'],
    [{ OTEL_TRACES_EXPORTER: 'otlp,console' }, 'OTEL_TRACES_EXPORTER is "otlp,console"'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }, 'OTEL_EXPORTER_OTLP_ENDPOINT is "collector:4317"'],
    [{ OTEL_BSP_SCHEDULE_DELAY: '0' }, 'OTEL_BSP_SCHEDULE_DELAY is "0"'],
    [{ OTEL_RESOURCE_ATTRIBUTES: 'a=1,b' }, 'OTEL_RESOURCE_ATTRIBUTES is "a=1,b"'],
    [{ OTEL_RESOURCE_ATTRIBUTES: 'a=%' }, 'OTEL_RESOURCE_ATTRIBUTES is "a=%"'],
  ])('%j warn once and leave the default', (env, problem) => {
    expect(read(env)).toEqual(read({}));
    read(env);
    expect(warnings).toEqual([expect.stringContaining(problem)]);
  });

  it.each([
    ['True', true],
    ['TRUE', true],
    ['1', false],
    ['yes', false],
  ])('OTEL_SDK_DISABLED=%s is %s, as the specification reads it', (value, disabled) => {
    expect([read({ OTEL_SDK_DISABLED: value }).OTEL_SDK_DISABLED, warnings]).toEqual([disabled, []]);
  });

  it('are those of docs/operations.md, with the same defaults, both ways', () => {
    const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
    const told = new Map(
      [...page.matchAll(/^\| `(OTEL_\w+)` \| (.*?) \|/gm)].map(([, name = '', standard = '']) => [name, standard]),
    );
    const inCode = Object.entries(TRACING_SPEC).map(([name, { default: standard }]) => {
      const isPlain = ['string', 'number', 'boolean'].includes(typeof standard);
      return [name, isPlain ? `\`${String(standard)}\`` : 'none'];
    });
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(inCode));
  });
});

/** The modules that a process of its own loads when it starts tracing with these variables. */
function loadedWith(env: Environment): string[] {
  const script = `
    import { registerHooks } from 'node:module';
    const loaded = new Set();
    registerHooks({ load: (url, context, next) => { loaded.add(url); return next(url, context); } });
    const at = (path) => import(new URL(path, ${JSON.stringify(import.meta.url)}).href);
    const { startTracing } = await at('./tracing.ts');
    const { Metrics } = await at('../metrics.ts');
    const { createLogger } = await at('../logger.ts');
    const options = { service: 'x', instance: 'x-1', log: createLogger('x', 'silent'), metrics: new Metrics('x') };
    const tracer = await startTracing({ ...options, env: process.env });
    console.log(JSON.stringify({ on: tracer !== undefined, loaded: [...loaded] }));
    process.exit(0);`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { env, encoding: 'utf8' });
  const { on, loaded } = JSON.parse(output) as { on: boolean; loaded: string[] };
  expect(on).toBe(Object.keys(env).length > 0);
  // prom-client brings the API along, which does nothing by itself.
  return loaded.filter((url) => /@opentelemetry\/(?!api\/)/.test(url));
}

it('nothing of the SDK is loaded unless there is an endpoint', () => {
  expect(loadedWith({})).toEqual([]);
  expect(loadedWith({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }).length).toBeGreaterThan(10);
});

const PARENT = { traceId: TRACE_ID, spanId: SPAN_ID, traceState: 'congo=t61' };

describe.each(['http/protobuf', 'http/json'])('over %s', (protocol) => {
  it.each(['none', 'gzip'])('a span arrives whole (compression: %s)', async (compression) => {
    process.env['OTEL_EXPORTER_OTLP_COMPRESSION'] = compression;
    const { tracer, spans } = await openTracing({
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=caf%C3%A9',
    });
    delete process.env['OTEL_EXPORTER_OTLP_COMPRESSION'];
    const options = { kind: 'consumer', parent: PARENT, startedAt: 1_790_000_000_000 } as const;
    const attributes = { text: 'ä€', yes: true, no: false, whole: 42, below: -7, big: 2 ** 40, share: 0.25 };
    const span = tracer.start('process x', { ...options, attributes });
    span.event('started');
    span.link({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) });
    span.fail('http_503');
    span.end();
    const root = tracer.start('send y', { kind: 'producer', attributes: {} });
    root.end();
    const [first, second, ...more] = await spans();
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      service: 'parley-test',
      traceId: TRACE_ID,
      parentSpanId: SPAN_ID,
      traceState: 'congo=t61',
      spanId: span.context.spanId,
      name: 'process x',
      kind: 'consumer',
      startMs: 1_790_000_000_000,
      attributes: { ...attributes, 'error.type': 'http_503' },
      events: [{ name: 'started' }],
      links: [{ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) }],
      failed: true,
    });
    expect(span.context).toEqual({ ...PARENT, spanId: span.context.spanId });
    expect(second).toMatchObject({ parentSpanId: '', kind: 'producer', failed: false, attributes: {}, links: [] });
    expect(second?.traceId).not.toBe(TRACE_ID);
  });
});

it('the draw is that of the configured share', async () => {
  const counted = async (env: Environment) => {
    const { tracer, spans } = await openTracing(env);
    let drawn = 0;
    for (let n = 0; n < 100_000; n++) if (tracer.draws()) drawn++;
    await spans();
    return drawn;
  };
  expect(await counted({ OTEL_TRACES_SAMPLER: 'parentbased_always_on' })).toBe(100_000);
  expect(await counted({ OTEL_TRACES_SAMPLER: 'parentbased_always_off' })).toBe(0);
  // 1,000 expected with a standard deviation of 31: six of them either way.
  const some = await counted({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio' });
  expect(some).toBeGreaterThan(800);
  expect(some).toBeLessThan(1_200);
});

/** Keeps what is logged at warn and info. */
function keepingLog() {
  const lines: string[] = [];
  const log = {
    warn: (_: object, text: string) => lines.push(text),
    info: (_: object, text: string) => lines.push(text),
  };
  return { lines, log: log as unknown as Logger };
}

describe('a collector that fails', () => {
  const QUICK = { OTEL_BSP_SCHEDULE_DELAY: '5' };
  const DOWN = 'the collector takes no spans: they are dropped meanwhile';
  const UP = 'the collector takes spans again';

  it('is told of once, and its return once; each span is counted', async () => {
    const { lines, log } = keepingLog();
    const { tracer, receiver, metrics, spans } = await openTracing(QUICK, log);
    const counts = async () => {
      const all = (await metrics.registry.getMetricsAsJSON()).find(({ name }) => name === 'parley_trace_spans_total');
      return Object.fromEntries((all?.values ?? []).map(({ labels, value }) => [labels['result'], value]));
    };
    const one = () => tracer.start('send x', { kind: 'producer', attributes: {} }).end();
    const told = lines.slice();
    expect(told).toEqual(['messages are traced']);
    receiver.mood = 'refuses';
    for (let failed = 1; failed <= 2; failed++) {
      one();
      await eventually(async () => expect(await counts()).toEqual({ exported: 0, failed, dropped: 0 }));
    }
    expect(lines).toEqual([...told, DOWN]);
    receiver.mood = 'takes';
    one();
    await eventually(async () => expect(await counts()).toEqual({ exported: 1, failed: 2, dropped: 0 }));
    expect(lines).toEqual([...told, DOWN, UP]);
    expect(await spans()).toHaveLength(1);
  });

  it('and says nothing holds neither memory nor the end of the process', async () => {
    const { lines, log } = keepingLog();
    const limits = { OTEL_BSP_MAX_QUEUE_SIZE: '20', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '10' };
    const { tracer, receiver, metrics, spans } = await openTracing({ ...QUICK, ...limits }, log);
    receiver.mood = 'hangs';
    for (let n = 0; n < 100; n++) {
      tracer.start('send x', { kind: 'producer', attributes: {} }).end();
      // So that the first batch is under way.
      if (n === 10) await eventually(() => expect(receiver.requests).toBe(1));
    }
    const text = await metrics.registry.metrics();
    const dropped = Number(/^parley_trace_spans_total\{result="dropped".*\} (\d+)$/m.exec(text)?.[1]);
    // Ten or eleven are on their way, and twenty wait.
    expect(dropped).toBeGreaterThanOrEqual(69);
    expect(dropped).toBeLessThanOrEqual(70);
    // Not before the exporter's own time-out of ten seconds without the bound: this test would time out.
    await spans();
    expect(lines).toEqual(['messages are traced']);
  }, 8_000);
});

it('the receiver refuses what is no trace', async () => {
  const receiver = await OtlpReceiver.listen();
  const post = (path: string, body: string) =>
    fetch(`${receiver.url}${path}`, { method: 'POST', body, headers: { 'content-type': 'application/x-protobuf' } });
  expect((await post('/v1/traces', '\xff\xff not a message')).status).toBe(400);
  expect((await post('/v1/logs', '')).status).toBe(404);
  expect(receiver.spans).toEqual([]);
  await receiver.close();
});
