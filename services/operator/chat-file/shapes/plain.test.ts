import { describe, expect, it } from '@jest/globals';
import { jsonLines, readContent } from '../testing/read.ts';

const good = { conversation_id: 'c', speaker: 'user', text: 'hello' };
const one = async (fields: object, over = {}) => {
  const { lines, leftOut } = await readContent(jsonLines(good, { ...good, ...fields }), over);
  return lines[1] ?? leftOut[0];
};

describe('one message a record', () => {
  it('takes the number of the line for an id, and passes on what the protocol knows', async () => {
    const extra = { user_id: 'u', channel: 'web', bot_version: '2', metadata: { k: 'v', n: 1 } };
    expect(await one({ turn: 3, labels: {} })).toEqual({ ...good, id: '2', sent_at: null });
    expect(await one({ ...extra, id: 'm1', ts: 1_589_375_697 })).toEqual({
      ...good,
      ...extra,
      metadata: { k: 'v', n: '1' },
      id: 'm1',
      sent_at: 1_589_375_697_000,
    });
  });

  it('takes numbers for ids of messages and conversations', async () => {
    expect(await one({ id: 501, conversation_id: 77 })).toMatchObject({ id: '501', conversation_id: '77' });
  });

  it('reads times as text; one that cannot be read matters only where times are sent', async () => {
    expect(await one({ sent_at: '2031-02-03T04:05:06.789+00:00' })).toMatchObject({
      sent_at: Date.UTC(2031, 1, 3, 4, 5, 6, 789),
    });
    expect(await one({ ts: '1790000000.000400' })).toMatchObject({ sent_at: 1_790_000_000_000 });
    expect(await one({ ts: 'today' })).toMatchObject({
      reason: 'bad_time',
      problem: expect.stringContaining('"today"'),
    });
    expect(await one({ ts: 'today' }, { keepTimes: false })).toMatchObject({ text: 'hello', sent_at: null });
  });

  it.each([
    ['no text', { text: undefined }, 'no_text'],
    ['null for a text', { text: null }, 'no_text'],
    ['no conversation', { conversation_id: undefined }, 'no_conversation'],
    ['no speaker', { speaker: undefined }, 'no_speaker'],
    ['a speaker that is not known', { speaker: '1' }, 'unknown_speaker'],
    ...[{}, 'x'.repeat(96), 'a\0b'].map((id) => ['an id that cannot be used', { id }, 'bad_id'] as const),
  ])('is left out with %s', async (_, fields, reason) => {
    expect(await one(fields)).toMatchObject({ reason, place: { line: 2 } });
  });

  it('says of a speaker what it was, what is allowed, and how to say which it is', async () => {
    expect(await one({ speaker: 'Shop 7' })).toMatchObject({
      problem:
        'has the speaker "Shop 7"; allowed are user, bot, agent and system; --speaker "Shop 7"=user says which it is',
    });
    expect(await one({ speaker: 'Shop 7' }, { speakers: new Map([['shop 7', 'agent']]) })).toMatchObject({
      speaker: 'agent',
    });
  });

  it('keeps a message whose metadata is of any kind', async () => {
    expect(await one({ metadata: { page: { ref: null }, vip: true } })).toMatchObject({
      metadata: { page: '{"ref":null}', vip: 'true' },
    });
    expect(await one({ metadata: ['a'] })).toMatchObject({ metadata: { value: '["a"]' } });
  });
});

describe("OpenAI's role and content", () => {
  const user = { role: 'user', content: 'Where is my order?' };
  const assistant = { role: 'assistant', content: [{ type: 'text', text: 'On its way.' }] };

  it('is one conversation where nothing names another', async () => {
    for (const content of [
      JSON.stringify([user, assistant]),
      jsonLines(user, assistant),
      JSON.stringify({ messages: [user, assistant] }, null, 1),
    ]) {
      const { lines, inputs } = await readContent(content);
      expect(lines.map(({ speaker, text }) => [speaker, text])).toEqual([
        ['user', 'Where is my order?'],
        ['bot', 'On its way.'],
      ]);
      expect(new Set(lines.map(({ conversation_id }) => conversation_id)).size).toBe(1);
      expect(inputs).toMatchObject([{ shape: 'openai' }]);
    }
  });

  it('is read by conversation, in order; calls of tools are left out and no fault', async () => {
    const call = { role: 'assistant', content: null, tool_calls: [{ id: 't' }] };
    const tool = { role: 'tool', content: '42' };
    const { lines, leftOut } = await readContent(
      jsonLines({ id: 'd1', messages: [user, call, tool, assistant] }, { messages: [user] }, { messages: [user] }),
    );
    expect(lines.map(({ id, conversation_id }) => [id, conversation_id])).toEqual([
      ['1.1', 'd1'],
      ['1.4', 'd1'],
      ['2.1', 'run-2'],
      ['3.1', 'run-3'],
    ]);
    expect(leftOut.map(({ reason }) => reason)).toEqual(['no_text', 'not_a_message']);
  });

  it('with conversation_id on each line is many conversations', async () => {
    const { lines } = await readContent(
      jsonLines({ ...user, conversation_id: 1 }, { ...assistant, conversation_id: 2 }),
    );
    expect(lines.map(({ conversation_id }) => conversation_id)).toEqual(['1', '2']);
  });
});

describe('one conversation a record', () => {
  const said = (from: string, value: string) => ({ from, value });
  const talk = { id: 'x1', conversations: [said('human', 'hi'), said('gpt', 'hello')] };

  it('is read from lines, a list, and an object around it', async () => {
    for (const content of [
      jsonLines(talk, { event: 'end' }),
      JSON.stringify([talk], null, 2),
      JSON.stringify({ data: [talk] }, null, 2),
    ]) {
      const { lines, inputs } = await readContent(content);
      expect(lines.map(({ conversation_id, speaker, text }) => [conversation_id, speaker, text])).toEqual([
        ['x1', 'user', 'hi'],
        ['x1', 'bot', 'hello'],
      ]);
      expect(inputs).toMatchObject([{ shape: 'conversations' }]);
    }
  });

  it('has its id also where that stands behind the turns', async () => {
    const { lines } = await readContent(
      JSON.stringify({ turns: [{ speaker: 'user', text: 'hi' }], session_id: 's' }, null, 2),
    );
    expect(lines).toMatchObject([{ conversation_id: 's' }]);
  });
});
