import { describe, expect, it } from '@jest/globals';
import { demoChats } from '../kit/chats.ts';
import { percentilesOf } from '../kit/percentiles.ts';
import { cpuMicrosAt, type ProcSample, parseCpuMicros, parseStatusBytes } from '../kit/proc-stat.ts';
import { DocumentBook } from './api/document-book.ts';
import { noCalls } from './api/faults.ts';
import { flameGraph } from './flame-graph.ts';
import { killReport } from './kill-run.ts';
import { loadEvents, NOISY_TENANT } from './messages.ts';
import type { LoggedOutcome } from './outcome-log.ts';
import { selfTimes } from './profile-summary.ts';
import { figuresOf } from './run-figures.ts';
import { soakReport } from './soak-run.ts';

const MB = 2 ** 20;
const sample = (atMs: number, cpuMicros: number, rssMb = 100): ProcSample => ({
  atMs,
  cpuMicros,
  rssBytes: rssMb * MB,
});

const outcome = (number: number, atMs: number, other: Partial<LoggedOutcome> = {}): LoggedOutcome => ({
  number,
  outcome: 'enriched',
  provisional: false,
  replayed: false,
  partition: 0,
  offset: number,
  eventAtMs: 1_000,
  atMs,
  receivedAtMs: 990,
  tenant: 'tenant-1',
  ...other,
});

describe('what /proc says', () => {
  it('gives CPU time, user and system together, whatever the command is called', () => {
    const rest = '1 1 1 0 -1 4194560 9 0 0 0 250 130 7 7 20 0 11 0 5 6 7';
    expect(parseCpuMicros(`77 (a) b (c)) S ${rest}`)).toBe(3_800_000);
  });

  it('gives memory in kB', () => {
    const status = 'Name:\tnode\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n';
    expect([parseStatusBytes(status, 'VmRSS'), parseStatusBytes(status, 'VmHWM')]).toEqual([MB, 2 * MB]);
    expect(parseStatusBytes('Name:\tnode\nState:\tZ (zombie)\n', 'VmRSS')).toBeNaN();
  });

  it('has CPU taken as spent evenly between two samples, and as nothing outside of them', () => {
    const samples = [sample(100, 1_000), sample(200, 3_000), sample(300, 3_500)];
    expect([50, 100, 150, 275, 400].map((atMs) => cpuMicrosAt(samples, atMs))).toEqual([
      1_000, 1_000, 2_000, 3_375, 3_500,
    ]);
  });
});

describe('figures of a run', () => {
  const book = new DocumentBook();
  book.reset(4);
  for (const id of ['m0', 'm1', 'm2', 'm3', 'm3', 'x1', 'm9']) book.called(id);
  for (const id of ['m0', 'm1', 'm2', 'm3']) book.answered(id, 200);
  const observed = {
    messages: 5,
    firstMeasured: 1,
    outcomes: [
      outcome(0, 1_100),
      outcome(1, 1_300, { provisional: true }),
      outcome(1, 1_500),
      outcome(2, 2_000),
      outcome(3, 2_500),
      outcome(3, 2_600),
      outcome(3, 2_700, { replayed: true }),
    ],
    samples: [sample(1_000, 0), sample(1_500, 10_000), sample(2_500, 30_000)],
    maxRssBytes: 300 * MB,
    api: { ...noCalls(), calls: 5, documents: 5 },
    book,
    apiCpuMicros: 100,
    receivedAtMs: [990, 990, 990, 990, 2_000],
    endedAtMs: 6_000,
    loopDelay: null,
  };

  it('count each message once, by its first final outcome', () => {
    expect(figuresOf(observed)).toMatchObject({
      outcomes: { enriched: 6, provisional: 1 },
      missing: 1,
      repeated: 1,
      repeated_calls: 1,
      max_rss_mb: 300,
      api_cpu_us_per_document: 20,
    });
  });

  it('are of the time between the first measured outcome and the last', () => {
    expect(figuresOf(observed)).toMatchObject({ seconds: 1, messages_per_s: 2, cpu_us_per_message: 10_000 });
  });

  it('leave out of the added latency what the API took', () => {
    const { added_ms, added_from_log_ms } = figuresOf(observed);
    expect([added_ms.count, added_ms.max, added_from_log_ms.max]).toEqual([3, 1_310, 1_300]);
  });

  it('count the wait for the first answer of any kind, and of what has none until the end', () => {
    expect(figuresOf(observed).insight_ms).toEqual({ count: 4, p50: 1_010, p95: 4_000, p99: 4_000, max: 4_000 });
    const only = { ...observed, messages: 2, outcomes: observed.outcomes.slice(1, 3), receivedAtMs: [990, 990] };
    expect(figuresOf(only).insight_ms).toMatchObject({ count: 1, max: 310 });
  });

  it('come through the book of the API unchanged', () => {
    const read = DocumentBook.read(book.toBuffer());
    expect([[...read.calls], [...read.tookMs]]).toEqual([
      [1, 1, 1, 2],
      [200, 200, 200, 200],
    ]);
  });
});

describe('percentiles', () => {
  it('are values that occurred, by the nearest rank', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(percentilesOf(values)).toEqual({ count: 200, p50: 100, p95: 190, p99: 198, max: 200 });
    expect(percentilesOf([])).toEqual({ count: 0, p50: 0, p95: 0, p99: 0, max: 0 });
  });
});

describe('a kill', () => {
  const outcomes = [outcome(0, 900), outcome(1, 950), outcome(2, 1_010), outcome(2, 7_000), outcome(3, 7_010)];
  const atKill = {
    killedAtMs: 1_000,
    called: 4,
    completed: { count: 2, has: (_: number, offset: number) => offset < 2 },
  };

  it('may repeat what was in flight and what was acked since the last commit, no more', () => {
    const calls = Uint8Array.from([1, 1, 2, 2]);
    expect(killReport(4, outcomes, { ...atKill, calls })).toMatchObject({
      ok: true,
      missing: 0,
      acked_since_commit: 1,
      in_flight: 1,
      repeated_calls: 2,
      repeated_outcomes: 1,
      back_at_work_ms: 6_000,
    });
    expect(killReport(4, outcomes, { ...atKill, calls: Uint8Array.from([1, 2, 2, 2]) }).ok).toBe(false);
  });

  it('that lost a message is not ok', () => {
    const calls = Uint8Array.from([1, 1, 1, 1]);
    expect(killReport(5, outcomes, { ...atKill, calls })).toMatchObject({ ok: false, missing: 1 });
  });
});

describe('a soak', () => {
  const counts = { outcomes: 1, most_in_flight: 1, seconds: 1 };
  const growing = (mbAt: (part: number) => number) =>
    soakReport(
      Array.from({ length: 100 }, (_, index) => sample(index, 0, mbAt(Math.floor(index / 10)))),
      counts,
    );

  it('is flat when memory settles after its start, and not when it goes on growing', () => {
    expect(growing((part) => Math.min(200 + part * 50, 350))).toMatchObject({ ok: true, max_rss_mb: 350 });
    expect(growing((part) => 200 + part * 20)).toMatchObject({ ok: false, max_rss_mb: 380 });
  });

  it('keeps below the bound', () => {
    expect(growing(() => 451).ok).toBe(false);
  });
});

describe('a CPU profile', () => {
  const frame = (functionName: string, url = '', lineNumber = 4) => ({ functionName, url, lineNumber });
  const profile = {
    nodes: [
      { id: 1, callFrame: frame('(root)'), children: [2, 3] },
      { id: 2, callFrame: frame('(idle)') },
      { id: 3, callFrame: frame('work', 'node:net'), children: [4] },
      { id: 4, callFrame: frame('', `file://${import.meta.dirname}/baseline.ts`), children: [5] },
      { id: 5, callFrame: frame('work', 'node:net') },
    ],
    samples: [1, 2, 3, 4, 5, 3],
    timeDeltas: [0, 10, 500, 20, 60, 20],
  };

  it('gives the time of a function over all its places, without what waits', () => {
    expect(selfTimes(profile)).toEqual([
      { name: '(anonymous) load/enricher/baseline.ts:5', micros: 60, share: 0.6 },
      { name: 'work node:net:5', micros: 40, share: 0.4 },
    ]);
  });

  it('becomes a flame graph in which a function is as wide as its time and that of all it called', () => {
    const svg = flameGraph(profile, 'a <title>');
    expect(svg).toContain('a &#60;title&#62;');
    expect([...svg.matchAll(/<title>(.*?): ([\d.]+) %/g)].map(([, name, share]) => [name, Number(share)])).toEqual([
      ['all', 100],
      ['work node:net:5', 100],
      ['(anonymous) load/enricher/baseline.ts:5', 80],
      ['work node:net:5', 20],
    ]);
  });
});

describe('the messages of a run', () => {
  const take = (count: number, noisy?: number) => {
    const events = loadEvents(demoChats(1), noisy);
    return Array.from({ length: count }, () => {
      const { value } = events.next();
      if (!value) throw new Error('the events have ended');
      return value;
    });
  };

  it('have texts that are said once, and about the length of a chat message', () => {
    const texts = take(5_000).map(({ event }) => event.text);
    expect(new Set(texts).size).toBe(texts.length);
    const mean = texts.reduce((sum, { length }) => sum + length, 0) / texts.length;
    expect(mean).toBeGreaterThan(60);
    expect(mean).toBeLessThan(80);
  });

  it('spread over all partitions and keep a conversation on one', () => {
    const partitions = new Map<string, Set<number>>();
    for (const { event, partition } of take(5_000)) {
      const key = `${event.bot_id}/${event.conversation_id}`;
      partitions.set(key, (partitions.get(key) ?? new Set()).add(partition));
    }
    expect([...partitions.values()].every(({ size }) => size === 1)).toBe(true);
    expect(new Set([...partitions.values()].flatMap((each) => [...each])).size).toBe(12);
  });

  it('come from a noisy tenant ten times for each of all the others together', () => {
    const tenants = take(11_000, 10).map(({ event }) => event.tenant_id);
    expect(tenants.filter((tenant) => tenant === NOISY_TENANT)).toHaveLength(10_000);
    expect(new Set(tenants).size).toBe(10);
  });
});
