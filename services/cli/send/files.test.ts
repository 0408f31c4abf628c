import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ScriptedGateway } from '../../client/testing/scripted-gateway.ts';
import { runCli } from '../program.ts';
import type { DryRunReport } from './dry-run.ts';
import type { SendReport } from './report.ts';

let folder: string;
let gateway: ScriptedGateway;
let url: string;
const received: object[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-send-files-'));
  await writeFile(join(folder, 'tokens'), 'a\n');
  const said = [
    { role: 'user', content: 'Is it open?', created_at: '2020-05-06T07:08:09Z' },
    { role: 'assistant', content: 'Until six.', created_at: 1_588_748_890 },
    { role: 'Shop Team', content: 'And on Sunday.' },
  ];
  await writeFile(join(folder, 'a.json.gz'), gzipSync(JSON.stringify({ id: 'talk', messages: said })));
  await writeFile(join(folder, 'b.jsonl'), '{"conversation_id":"b","speaker":"user","text":"one"}\n{"text":"two",}\n');
  gateway = new ScriptedGateway();
  url = await gateway.listen();
  gateway.onMessage = (message) => {
    received.push(message);
    gateway.ack(message.id);
  };
});
afterAll(async () => {
  await gateway.stop();
  await rm(folder, { recursive: true, force: true });
});

async function send<Report>(...args: string[]): Promise<{ code: number; report: Report; out: string; err: string }> {
  let [out, err] = ['', ''];
  const files = ['a.json.gz', 'b.jsonl'].map((name) => join(folder, name));
  const code = await runCli(
    ['send', ...files, '--run-id', 'r', ...args],
    { env: { PARLEY_DATA_DIR: folder }, signal: new AbortController().signal },
    {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    },
  );
  return { code, report: (args.includes('--json') ? JSON.parse(out) : undefined) as Report, out, err };
}

it('parley send says what it takes each file for, sends what it understood, and counts the rest with its place', async () => {
  const gate = ['--url', url, '--tokens', join(folder, 'tokens'), '--bots', '1'];
  const { code, report, err } = await send<SendReport>(...gate, '--keep-times', '--json');
  expect(err).toContain("a.json.gz: OpenAI's role and content (JSON, messages[]; gzip)");
  expect(err).toContain('b.jsonl: one message a record (JSON Lines)');
  expect(received).toMatchObject([
    { id: 'r-1', conversation_id: 'talk', speaker: 'user', sent_at: Date.UTC(2020, 4, 6, 7, 8, 9) },
    { id: 'r-2', conversation_id: 'talk', speaker: 'bot', sent_at: 1_588_748_890_000 },
    { id: 'r-f2.1', conversation_id: 'b', text: 'one' },
  ]);
  const b = { file: join(folder, 'b.jsonl'), line: 2, character: 15, found: '}' };
  expect({ code, report }).toMatchObject({ code: 1, report: { sent: 3, acked: 3, bad_lines: 2, old_times: 2 } });
  expect(report.left_out).toMatchObject([
    { reason: 'unknown_speaker', count: 1, fault: true },
    { reason: 'not_json', count: 1, fault: true, examples: [b] },
  ]);
});

it('a dry run shows the first messages as they would be sent, and needs no gateway', async () => {
  const before = received.length;
  const { code, report } = await send<DryRunReport>(
    '--dry-run',
    '--json',
    '--speaker',
    'shop team=agent',
    '--allow-refused',
  );
  expect({ code, report }).toMatchObject({
    code: 0,
    report: { dry_run: true, messages: 4, conversations: 2, bad_lines: 1 },
  });
  expect(report.first[2]).toEqual({
    id: 'r-3',
    conversation_id: 'talk',
    speaker: 'agent',
    text: 'And on Sunday.',
    sent_at: null,
  });
  const { out } = await send('--dry-run');
  expect(out).toContain('Would send 3 messages of 2 conversations.');
  expect(out).toMatch(/Left out 1 as not_json: is not JSON \(first: .*b\.jsonl line 2, character 15: "}", U\+007D\)/);
  expect(received).toHaveLength(before);
});

it.each([
  ['--as', 'spreadsheet', 'openai'],
  ['--map', 'words=text', 'conversation_id'],
  ['--speaker', 'x=robot', 'agent'],
])('%s %s is wrong usage, and what is allowed is said', async (option, value, allowed) => {
  const { code, err } = await send(option, value);
  expect(code).toBe(2);
  expect(err).toContain(allowed);
});
