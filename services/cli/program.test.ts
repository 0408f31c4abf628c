import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt } from 'jose';
import { VERSION } from '../core/package-info.ts';
import { ensureLocalKey, localKeyPath } from '../operator/local-token.ts';
import { describeReport } from './commands/verify.ts';
import { runCli } from './program.ts';

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'parley-cli-'));
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

async function parley(args: readonly string[], env: Record<string, string> = {}) {
  let [out, err] = ['', ''];
  const code = await runCli(
    args,
    { env: { PARLEY_DATA_DIR: dataDir, ...env }, signal: new AbortController().signal },
    {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    },
  );
  return { code, out, err };
}

const COMMANDS = [
  'status',
  'token',
  'send',
  'bot',
  'verify',
  'topics',
  'dlq list',
  'dlq show',
  'dlq release',
  'replay',
  'forget',
];

describe('every command', () => {
  it.each(COMMANDS)('%s explains itself', async (command) => {
    const { code, out, err } = await parley([...command.split(' '), '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`Usage: parley ${command}`);
    expect(out).toContain('--json');
    expect(err).toBe('');
    expect((await parley(['--help'])).out).toMatch(new RegExp(`^ {2}${command.split(' ')[0]} `, 'm'));
  });

  it.each(COMMANDS)('%s has a section in docs/cli.md with each of its options', async (command) => {
    const manual = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
    const section = manual.split(/^## /m).find((part) => part.startsWith(`\`parley ${command}\``));
    const options = (await parley([...command.split(' '), '--help'])).out.match(/^ {2}--[a-z-]+/gm) ?? [];
    for (const option of options) if (option.trim() !== '--json') expect(section).toContain(option.trim());
  });
});

describe('exit codes and output', () => {
  it('say the version', async () => {
    expect(await parley(['--version'])).toMatchObject({ code: 0, out: `${VERSION}\n` });
  });

  it.each([
    ['an unknown command', ['fly']],
    ['an unknown option', ['status', '--fast']],
    ['an argument too many', ['status', 'now']],
    ['no command at all', []],
    ['a duration without unit', ['verify', '--wait', '60']],
    ['a role that there is none', ['token', '--role', 'king']],
    ['zero bots', ['token', '--bots', '0']],
    ['neither file nor --demo', ['send']],
    ['both file and --demo', ['send', 'x.jsonl', '--demo']],
    ['no dlq command', ['dlq']],
    ['a reason that there is none', ['dlq', 'list', '--reason', 'sunspots']],
    ['a time that is none', ['dlq', 'list', '--from', 'yesterday']],
    ['two starts', ['dlq', 'list', '--since', '1h', '--from', '2026-01-01']],
    ['an end before the start', ['dlq', 'list', '--from', '2026-01-02', '--to', '2026-01-01']],
    ['a group that there is none', ['dlq', 'list', '--by', 'mood']],
    ['offsets without a partition', ['replay', '--offsets', '1-5']],
    ['offsets backwards', ['replay', '--partition', '1', '--offsets', '5-1']],
    ['no dead letter to show', ['dlq', 'show']],
    ['a place that is none', ['dlq', 'show', 'chat.events/1/2']],
    ['an origin that is none', ['dlq', 'show', '--origin', '1/2']],
    ['a replay that nobody can agree to', ['replay', '--execute']],
    ['a replay both ways', ['replay', '--execute', '--dry-run', '--yes']],
    ['a rate of zero', ['replay', '--rate', '0']],
  ])('2 and a word on stderr for %s', async (_, args) => {
    const { code, out, err } = await parley(args);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).not.toBe('');
  });

  it('2 for a wrong environment variable, naming it', async () => {
    const { code, err } = await parley(['topics'], { KAFKA_BROKERS: 'here' });
    expect(code).toBe(2);
    expect(err).toMatch(/CONFIG_INVALID.*KAFKA_BROKERS is "here"/);
  });

  it.each([
    ['wrong usage', ['verify', '--wait', 'x', '--json'], {}, 2, 'USAGE'],
    ['a wrong variable', ['topics', '--json'], { KAFKA_BROKERS: 'here' }, 2, 'CONFIG_INVALID'],
    ['a part that is away', ['topics', '--json'], { KAFKA_BROKERS: '127.0.0.1:1' }, 1, 'KAFKA_UNREACHABLE'],
    ['a missing key', ['send', '--demo', '--json'], {}, 1, 'TOKEN_KEY_MISSING'],
  ])('with --json %s is one document too', async (_, args, env, code, error) => {
    const found = await parley(args, env);
    expect(found.code).toBe(code);
    expect(JSON.parse(found.out)).toMatchObject({ error: { code: error } });
  });

  it('1 with the fix where nothing runs', async () => {
    const { code, out } = await parley(['status']);
    expect(code).toBe(1);
    expect(out).toContain('npm start');
    expect(await parley(['status', '--json'])).toMatchObject({ code: 1, err: '' });
  });

  it('1 with the fix where the gateway is away', async () => {
    await ensureLocalKey(localKeyPath(dataDir));
    const file = join(dataDir, 'one.jsonl');
    await writeFile(file, '{"conversation_id":"c","speaker":"user","text":"hello"}\n');
    expect(await parley(['send', file, '--url', 'http://127.0.0.1:1'])).toMatchObject({ code: 2 });
    const refused = await parley(['send', file, '--url', 'ws://127.0.0.1:1']);
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('GATEWAY_UNREACHABLE') });
  });
});

describe('parley token', () => {
  it('prints one, with the claims asked for', async () => {
    await ensureLocalKey(localKeyPath(dataDir));
    const args = ['token', '--tenant', 'acme', '--bot', 'desk', '--role', 'sre', '--role', 'analyst', '--ttl', '2h'];
    const { code, out } = await parley(args);
    expect(code).toBe(0);
    const claims = decodeJwt(out.trim());
    expect(claims).toMatchObject({ sub: 'desk', tenant: 'acme', roles: ['sre', 'analyst'], aud: 'parley' });
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(7_200);
    expect(JSON.parse((await parley(['token', '--json'])).out)).toMatchObject({ bot: 'demo-bot', roles: ['bot'] });
  });

  it('writes many to a file that only its owner can read, also over one that others could', async () => {
    const file = join(dataDir, 'tokens');
    await writeFile(file, 'old', { mode: 0o644 });
    expect((await parley(['token', '--bots', '2500', '--tenants', '3', '--out', file])).code).toBe(0);
    const tokens = (await readFile(file, 'utf8')).trimEnd().split('\n');
    expect(tokens).toHaveLength(2_500);
    expect(new Set(tokens.map((token) => decodeJwt(token).sub)).size).toBe(2_500);
    expect(tokens.slice(0, 4).map((token) => decodeJwt(token)['tenant'])).toEqual([
      'tenant-1',
      'tenant-2',
      'tenant-3',
      'tenant-1',
    ]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('names a file that it cannot write', async () => {
    const { code, err } = await parley(['token', '--bots', '2', '--out', join(dataDir, 'no/such/folder')]);
    expect(code).toBe(1);
    expect(err).toContain('OUTPUT_UNWRITABLE');
  });
});

describe('the verdict of verify in words', () => {
  const nothing = {
    events: 0,
    enriched: 0,
    degraded: 0,
    dead_lettered: 0,
    duplicate_receipts: 0,
    gaps: 0,
    in_flight: 0,
    missing: 0,
    no_record: 0,
  };
  const lines = (over: Partial<typeof nothing>, ok: boolean) =>
    describeReport({
      ok,
      topics: { 'chat.events': { ...nothing, ...over }, 'chat.replay': nothing },
      scope: { since: null, partitions: null },
      violations: { double_receipts: 0, double_facts: 0, lost_facts: 0, rollup_mismatches: 0, log_mismatches: null },
      examples: { double_receipts: [], double_facts: [], lost_facts: [], rollup_mismatches: [], log_mismatches: [] },
      by_partition: [
        {
          ...nothing,
          ...over,
          ...{ topic: 'chat.events', topic_id: 'id', partition: 3, log_start: 0, log_end: 9, watermark: 9 },
          missing_ranges: [],
        },
      ],
    }).split('\n');
  const report = (over: Partial<typeof nothing>, ok: boolean) => lines(over, ok).at(0);

  it('is one sentence, and the first line', () => {
    expect(report({ events: 5_000, enriched: 5_000 }, true)).toBe(
      'OK: 5,000 records, none missing, none counted twice.',
    );
    expect(report({ events: 9, in_flight: 4 }, true)).toMatch(/^OK: 9 records.*, 4 still in flight\.$/);
    expect(report({ events: 9, missing: 2 }, false)).toBe('NOT OK: 2 missing.');
    expect(report({ events: 9, no_record: 3 }, true)).toBe('OK: 9 records, none missing, none counted twice.');
    expect(report({ events: 9, gaps: 2 }, false)).toBe('NOT OK: 2 lost before they were read.');
    expect(report({ events: 9, gaps: 2 }, true)).toMatch(/, 2 lost before they were read \(accepted\)\.$/);
    expect(report({ events: 9, in_flight: 4 }, false)).toMatch(/^NOT DONE:.*4 records are still in flight/);
  });

  it('says where markers may be among the gaps, which nothing tells from records once they are removed', () => {
    const markers = (over: Partial<typeof nothing>) =>
      lines(over, false).filter((line) => /^Markers/.test(line)).length;
    expect([markers({ gaps: 2, no_record: 1 }), markers({ gaps: 2 }), markers({ no_record: 1 })]).toEqual([1, 0, 0]);
  });
});
