import type { ReceivedSpan } from '../../services/platform/testing/otlp-receiver.ts';

export interface WaterfallRow {
  readonly service: string;
  readonly name: string;
  readonly depth: number;
  /** After the beginning of the trace. */
  readonly offset_ms: number;
  readonly duration_ms: number;
  readonly failed: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly { readonly name: string; readonly offset_ms: number }[];
  /** Spans of other traces that it has to do with. */
  readonly links: number;
}

const BAR = 40;
const hundredths = (ms: number): number => Math.round(ms * 100) / 100;

/** The spans of one trace as rows: parents before children, and siblings by their beginning. */
export function waterfallOf(spans: readonly ReceivedSpan[]): WaterfallRow[] {
  const begin = Math.min(...spans.map(({ startMs }) => startMs));
  const known = new Set(spans.map(({ spanId }) => spanId));
  const rows: WaterfallRow[] = [];
  const add = (span: ReceivedSpan, depth: number): void => {
    const { service, name, failed, attributes, links, events } = span;
    rows.push({
      service,
      name,
      depth,
      offset_ms: hundredths(span.startMs - begin),
      duration_ms: hundredths(span.endMs - span.startMs),
      failed,
      attributes,
      events: events.map(({ name: event, atMs }) => ({ name: event, offset_ms: hundredths(atMs - begin) })),
      links: links.length,
    });
    addAll(
      spans.filter(({ parentSpanId }) => parentSpanId === span.spanId),
      depth + 1,
    );
  };
  const addAll = (siblings: readonly ReceivedSpan[], depth: number): void => {
    for (const span of siblings.toSorted((a, b) => a.startMs - b.startMs)) add(span, depth);
  };
  // Also those whose parent did not come: their service may have no collector.
  addAll(
    spans.filter(({ parentSpanId }) => !known.has(parentSpanId)),
    0,
  );
  return rows;
}

/** For a terminal: name, beginning, duration and a bar. */
export function drawTrace(traceId: string, rows: readonly WaterfallRow[]): string {
  const end = Math.max(...rows.map(({ offset_ms, duration_ms }) => offset_ms + duration_ms), 1);
  const labelOf = ({ name, depth }: WaterfallRow) => `${'  '.repeat(depth)}${name}`;
  const width = Math.max(...rows.map((row) => labelOf(row).length)) + 2;
  const lines = rows.map((row) => {
    const { service, offset_ms, duration_ms, failed, events, links } = row;
    const from = Math.min(Math.floor((offset_ms / end) * BAR), BAR - 1);
    const length = Math.min(Math.max(Math.round((duration_ms / end) * BAR), 1), BAR - from);
    const bar = `${' '.repeat(from)}${(failed ? 'x' : '█').repeat(length)}`.padEnd(BAR);
    const times = `${offset_ms.toFixed(1).padStart(8)} ${duration_ms.toFixed(1).padStart(8)}`;
    const told = events.map((event) => `${event.name} ${event.offset_ms.toFixed(1)}`);
    if (links > 0) told.push(`links: ${links}`);
    return `${labelOf(row).padEnd(width)}${service.padEnd(17)}${times} ms  |${bar}| ${told.join(', ')}`.trimEnd();
  });
  return [`trace ${traceId}`, ...lines].join('\n');
}
