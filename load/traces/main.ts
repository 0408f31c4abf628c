import { parseArgs } from 'node:util';
import { OtlpReceiver, type ReceivedSpan } from '../../services/platform/testing/otlp-receiver.ts';
import { drawTrace, waterfallOf } from './waterfall.ts';

const HELP = `Receives traces (OTLP over HTTP) on loopback and draws each as a waterfall: no collector is needed to see one.

  node load/traces/main.ts [--port 4318] [--traces 5] [--quiet-ms 7000] [--json]

  --port N      where it listens (4318)
  --traces N    ends after so many (5)
  --quiet-ms N  a trace is complete when no span of it came for so long (7000: spans wait up to 5 s to be sent)
  --json        one JSON document at the end instead of the drawings

Start it, then Parley in another terminal, and send something:

  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_TRACES_SAMPLER=parentbased_always_on npm start
  npx parley send --demo --limit 5
`;

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string', default: '4318' },
        traces: { type: 'string', default: '5' },
        'quiet-ms': { type: 'string', default: '7000' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const [port, traces, quietMs] = [values.port, values.traces, values['quiet-ms']].map((text) =>
      /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN,
    ) as [number, number, number];
    if (!(port <= 65_535 && traces >= 1 && quietMs >= 1))
      throw new Error('--port, --traces and --quiet-ms are numbers');
    return { port, traces, quietMs, json: values.json, help: values.help };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

const { port, traces, quietMs, json, help } = readOptions();
if (help) {
  process.stdout.write(HELP);
  process.exit(0);
}

/** Traces that are still coming in, those with the latest span last. */
const open = new Map<string, { spans: ReceivedSpan[]; lastAtMs: number }>();
const done: { trace_id: string; spans: ReturnType<typeof waterfallOf> }[] = [];
const finished = Promise.withResolvers<void>();

const receiver = await OtlpReceiver.listen(port, (spans) => {
  for (const span of spans) {
    const entry = open.get(span.traceId) ?? { spans: [], lastAtMs: 0 };
    entry.spans.push(span);
    entry.lastAtMs = performance.now();
    open.delete(span.traceId);
    open.set(span.traceId, entry);
  }
});
process.stderr.write(`waiting for ${traces} traces at ${receiver.url}\n`);

const clock = setInterval(() => {
  for (const [traceId, { spans, lastAtMs }] of open) {
    if (performance.now() - lastAtMs < quietMs) break;
    open.delete(traceId);
    const rows = waterfallOf(spans);
    done.push({ trace_id: traceId, spans: rows });
    if (!json) process.stdout.write(`${drawTrace(traceId, rows)}\n\n`);
    if (done.length >= traces) {
      finished.resolve();
      return;
    }
  }
}, 100);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => finished.resolve());

await finished.promise;
clearInterval(clock);
await receiver.close();
if (json) process.stdout.write(`${JSON.stringify({ traces: done }, null, 2)}\n`);
process.exitCode = done.length >= traces ? 0 : 1;
