import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeJwt } from 'jose';
import { ScriptedGateway } from '../../client/testing/scripted-gateway.ts';
import { ensureLocalKey, localKeyPath } from '../../operator/local-token.ts';
import { runCli } from '../program.ts';
import { type ChatReport, describeInsight } from './transcript.ts';

let dataDir: string;
let gateway: ScriptedGateway;
let url: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'parley-bot-'));
  await ensureLocalKey(localKeyPath(dataDir));
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

beforeEach(async () => {
  gateway = new ScriptedGateway();
  url = await gateway.listen();
});
afterEach(() => gateway.stop());

async function* typed(...lines: string[]): AsyncGenerator<string> {
  yield* lines;
}

async function bot(lines: AsyncIterable<string>, args: readonly string[] = [], signal = new AbortController().signal) {
  let [out, err] = ['', ''];
  const code = await runCli(
    ['bot', '--url', url, '--conversation', 'talk', '--json', ...args],
    { env: { PARLEY_DATA_DIR: dataDir }, signal, lines: () => lines },
    {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    },
  );
  return { code, document: JSON.parse(out) as ChatReport, err };
}

const insight = (id: string, change: object = {}) => ({
  type: 'insight',
  id,
  conversation_id: 'talk',
  outcome: 'enriched',
  provisional: false,
  revision: 0,
  sentiment: { label: 'negative', score: -0.5 },
  intent: { name: 'order_status', confidence: 0.8 },
  language: { code: 'en', confidence: 1 },
  toxicity: { score: 0.25 },
  ...change,
});

describe('parley bot', () => {
  it('sends each line, shows acks and insights as they come, and reports them', async () => {
    gateway.onMessage = ({ id }) => {
      gateway.ack(id);
      gateway.say(insight(id, { provisional: true, sentiment: { label: 'neutral', score: 0 } }));
      // The last one comes when the lines have long ended.
      setTimeout(() => gateway.say(insight(id)), 60);
    };
    const { code, document, err } = await bot(typed('Where is my parcel?', '', '  ', 'Hello?'), ['--tenant', 'acme']);
    expect(code).toBe(0);
    expect(document).toMatchObject({ url, conversation_id: 'talk', sent: 2, acked: 2, refused: {}, insights: 2 });
    expect(
      document.messages.map(({ id, ack_ms, insight: found }) => [id, ack_ms !== null, found?.provisional]),
    ).toEqual([
      ['talk-1', true, false],
      ['talk-2', true, false],
    ]);
    expect(gateway.received.map(({ text }) => text)).toEqual(['Where is my parcel?', 'Hello?']);
    expect(gateway.urls).toEqual(['/v1/stream?insights=true']);
    expect(decodeJwt(String(gateway.tokens[0]).slice(7))).toMatchObject({ tenant: 'acme', sub: 'demo-bot' });
    expect(err).toMatch(/#1 acked after \d+ ms\n/);
    expect(err).toMatch(/#1 for now neutral 0\.00, .* after \d+ ms\n/);
    expect(err).toMatch(/#1 negative -0\.50, intent order_status 80 %, language en, toxicity 25 % after \d+ ms\n/);
  });

  it('exits 1 and says so where a message is refused, or an insight does not come in time', async () => {
    gateway.onMessage = ({ id }) => {
      if (id === 'talk-1') gateway.nack(id, 'text_too_long');
      else gateway.ack(id);
    };
    const { code, document, err } = await bot(typed('too long', 'fine'), ['--wait', '50ms']);
    expect([code, document.sent, document.acked, document.insights]).toEqual([1, 2, 1, 0]);
    expect(document.refused).toEqual({ text_too_long: 1 });
    expect(err).toContain('#1 refused: text_too_long');
  });

  it('ends on Ctrl-C with what there is', async () => {
    const interrupt = new AbortController();
    gateway.onMessage = ({ id }) => {
      gateway.ack(id);
      gateway.say(insight(id));
    };
    async function* forever(): AsyncGenerator<string> {
      for (let i = 0; ; i++) {
        yield `line ${i}`;
        if (i === 3) interrupt.abort();
      }
    }
    const { document } = await bot(forever(), [], interrupt.signal);
    expect(document).toMatchObject({ interrupted: true, sent: 4 });
  });

  it('takes a token out of a file, and refuses what is no speaker', async () => {
    const file = join(dataDir, 'token');
    await writeFile(file, 'a.b.c\n');
    gateway.onMessage = ({ id }) => {
      gateway.ack(id);
      gateway.say(insight(id));
    };
    expect((await bot(typed('Hi'), ['--token', file, '--speaker', 'agent'])).code).toBe(0);
    expect(gateway.tokens).toEqual(['Bearer a.b.c']);
    expect((await bot(typed('Hi'), ['--speaker', 'robot'])).code).toBe(2);
  });
});

describe('an insight in words', () => {
  it('says what is known of it', () => {
    const bare = { id: 'm', conversation_id: 'c', provisional: false, revision: 0 } as const;
    expect(describeInsight({ ...bare, outcome: 'dead_lettered', reason: 'nlp_rejected' })).toBe(
      'dead_lettered (nlp_rejected)',
    );
    expect(describeInsight({ ...bare, outcome: 'degraded', sentiment: { label: 'positive', score: 1 } })).toBe(
      'degraded, positive 1.00',
    );
  });
});
