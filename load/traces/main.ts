import { Command } from 'commander';
import { integerOption } from '../../services/operator/option-readers.ts';
import { OtlpReceiver, type ReceivedSpan } from '../../services/platform/testing/otlp-receiver.ts';
import { drawTrace, waterfallOf } from './waterfall.ts';

interface Options {
  readonly port: number;
  readonly traces: number;
  readonly quietMs: number;
  readonly json?: true;
}

const USE = `
Start it, then Parley in another terminal, and send something:

  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_TRACES_SAMPLER=parentbased_always_on npm start
  npx parley send --demo --limit 5
`;
const WRONG_USE = 2;

const program = new Command('traces')
  .description(
    'Receives traces (OTLP over HTTP) on loopback and draws each as a waterfall: no collector is needed to see one.',
  )
  .option('--port <n>', 'where it listens', integerOption(1, 65_535), 4_318)
  .option('--traces <n>', 'ends after so many', integerOption(1, 1_000_000), 5)
  .option(
    '--quiet-ms <n>',
    'a trace is complete when no span of it came for so long: spans wait up to 5 s to be sent',
    integerOption(1, 3_600_000),
    7_000,
  )
  .option('--json', 'one JSON document at the end instead of the drawings')
  .addHelpText('after', USE)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : WRONG_USE))
  .parse();
const { port, traces, quietMs, json } = program.opts<Options>();

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
