import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ScriptedGateway } from '../../client/testing/scripted-gateway.ts';
import { runCli } from '../program.ts';
import type { SendReport } from './report.ts';

let folder: string;
let gateway: ScriptedGateway;
let url: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-send-insights-'));
  const line = (n: number) => JSON.stringify({ conversation_id: `c${n}`, speaker: 'user', text: 'hello' });
  await writeFile(join(folder, 'chats.jsonl'), [1, 2, 3].map(line).join('\n'));
  await writeFile(join(folder, 'tokens'), 'a\n');
  gateway = new ScriptedGateway();
  url = await gateway.listen();
});
afterAll(async () => {
  await gateway.stop();
  await rm(folder, { recursive: true, force: true });
});

async function send(...args: string[]): Promise<{ code: number; report: SendReport }> {
  let out = '';
  const files = [join(folder, 'chats.jsonl'), '--tokens', join(folder, 'tokens')];
  const code = await runCli(
    ['send', ...files, '--bots', '1', '--url', url, '--json', ...args],
    { env: { PARLEY_DATA_DIR: folder }, signal: new AbortController().signal },
    {
      out: (text) => {
        out += text;
      },
      err: () => {},
    },
  );
  return { code, report: JSON.parse(out) as SendReport };
}

it('parley send --insights counts those of its own messages and waits for them; missing ones make it exit 1', async () => {
  const insight = { type: 'insight', conversation_id: 'c', outcome: 'enriched', provisional: false, revision: 0 };
  let answered = 3;
  gateway.onMessage = ({ id }) => {
    gateway.ack(id);
    gateway.say({ ...insight, id: `another-run${id}` });
    gateway.say({ ...insight, id, provisional: true });
    // Long after the ack; the client passes a repeated one on once.
    if (answered-- > 0) setTimeout(() => [1, 2].map(() => gateway.say({ ...insight, id })), 100);
  };
  const complete = await send('--insights', '10s');
  expect(complete).toMatchObject({ code: 0, report: { acked: 3, insights: { final: 3, provisional: 3, missing: 0 } } });
  answered = 1;
  const incomplete = await send('--insights', '300ms');
  expect(incomplete).toMatchObject({ code: 1, report: { acked: 3, insights: { final: 1, missing: 2 } } });
  expect(await send()).toMatchObject({ code: 0, report: { acked: 3, insights: null } });
  expect(gateway.urls).toEqual(['/v1/stream?insights=true', '/v1/stream?insights=true', '/v1/stream']);
});
