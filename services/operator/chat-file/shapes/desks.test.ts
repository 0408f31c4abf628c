import { describe, expect, it } from '@jest/globals';
import { jsonLines, readContent } from '../testing/read.ts';

describe('Intercom conversations', () => {
  const part = (id: string, type: string, by: string, body: string | null) => ({
    type: 'conversation_part',
    id,
    part_type: type,
    body,
    created_at: 1_790_000_010,
    author: { type: by, id: `a-${by}`, name: 'Kim' },
  });
  const conversation = {
    type: 'conversation',
    id: '215',
    created_at: 1_790_000_000,
    source: { type: 'conversation', id: '3', body: '<p>Where is<br>my tea?</p>', author: { type: 'lead', id: 'l1' } },
    conversation_parts: {
      type: 'conversation_part.list',
      conversation_parts: [
        part('4', 'comment', 'bot', '<div>One moment &amp; I look.</div>'),
        part('5', 'assignment', 'admin', null),
        part('6', 'note', 'admin', '<p>rude one</p>'),
        part('7', 'comment', 'admin', '<p>It is <b>here</b>.</p><style>p{}</style>'),
        part('8', 'comment', 'admin', '<img src="x.png">'),
      ],
    },
  };

  it.each([
    ['lines', jsonLines(conversation, conversation)],
    ['one document', JSON.stringify(conversation, null, 2)],
    ['a list around', JSON.stringify({ type: 'conversation.list', conversations: [conversation] })],
  ])('of %s are read from the opening on, as text; notes and events are counted', async (_, content) => {
    const { lines, leftOut, inputs } = await readContent(content);
    expect(inputs).toMatchObject([{ shape: 'intercom' }]);
    expect(lines.slice(0, 3)).toMatchObject([
      {
        id: '3',
        conversation_id: '215',
        speaker: 'user',
        text: 'Where is\nmy tea?',
        sent_at: 1_790_000_000_000,
        user_id: 'l1',
      },
      { id: '4', speaker: 'bot', text: 'One moment & I look.' },
      { id: '7', speaker: 'agent', text: 'It is here.', sent_at: 1_790_000_010_000 },
    ]);
    expect(leftOut.slice(0, 3).map(({ reason }) => reason)).toEqual(['not_a_message', 'not_a_message', 'no_text']);
  });
});

describe('Zendesk', () => {
  const comment = (id: number, by: number, body: string, open = true) => ({
    id,
    author_id: by,
    plain_body: body,
    public: open,
    created_at: '2026-09-21T14:13:20Z',
  });
  const comments = [comment(1, 5, 'No tea'), comment(2, 9, 'check stock', false), comment(3, 9, 'Sent today')];

  it.each([
    ['tickets a line', jsonLines({ id: 31, requester_id: 5, comments }, { id: 32, requester_id: 5, comments: [] })],
    ['a ticket', JSON.stringify({ ticket: { id: 31, requester_id: 5, comments } }, null, 2)],
    ['tickets in a list', JSON.stringify({ tickets: [{ id: 31, requester_id: 5, comments }] })],
    [
      'comments with users beside',
      JSON.stringify({
        ticket_id: 31,
        comments,
        users: [
          { id: 5, role: 'end-user' },
          { id: 9, role: 'agent' },
        ],
      }),
    ],
  ])('%s: the requester is the user, internal comments are counted', async (_, content) => {
    const { lines, leftOut, inputs } = await readContent(content);
    expect(inputs).toMatchObject([{ shape: 'zendesk' }]);
    expect(lines).toMatchObject([
      {
        id: '1',
        conversation_id: '31',
        speaker: 'user',
        text: 'No tea',
        user_id: '5',
        sent_at: Date.UTC(2026, 8, 21, 14, 13, 20),
      },
      { id: '3', conversation_id: '31', speaker: 'agent', text: 'Sent today' },
    ]);
    expect(leftOut.map(({ reason }) => reason)).toEqual(['not_a_message']);
  });

  it('chats have visitors, agents and triggers', async () => {
    const entry = (nick: string, msg: string) => ({
      type: 'chat.msg',
      nick,
      msg,
      name: 'x',
      timestamp: '2026-09-21T14:13:20Z',
    });
    const history = [
      { type: 'chat.memberjoin', nick: 'visitor:1', timestamp: '2026-09-21T14:13:19Z' },
      entry('agent:trigger', 'Hello'),
      entry('visitor:1', 'No tea'),
      entry('agent:7', 'Sent today'),
    ];
    const { lines, leftOut } = await readContent(JSON.stringify({ chats: [{ id: 'c1', type: 'chat', history }] }));
    expect(lines.map(({ conversation_id, speaker, text }) => [conversation_id, speaker, text])).toEqual([
      ['c1', 'bot', 'Hello'],
      ['c1', 'user', 'No tea'],
      ['c1', 'agent', 'Sent today'],
    ]);
    expect(leftOut).toMatchObject([{ reason: 'not_a_message' }]);
  });

  it('conversations have users, businesses and their AI', async () => {
    const message = (id: string, author: object, content: object) => ({
      id,
      received: '2026-09-21T14:13:20.5Z',
      author,
      content,
    });
    const { lines, leftOut } = await readContent(
      JSON.stringify({
        conversation: { id: 'k9' },
        messages: [
          message('m1', { type: 'user', userId: 'u1' }, { type: 'text', text: 'No tea' }),
          message('m2', { type: 'business', subtypes: ['AI'] }, { type: 'text', text: 'Looking' }),
          message('m3', { type: 'business', displayName: 'Kim' }, { type: 'text', text: 'Sent today' }),
          message('m4', { type: 'user', userId: 'u1' }, { type: 'image', mediaUrl: 'x' }),
        ],
      }),
    );
    expect(lines.map(({ id, conversation_id, speaker }) => [id, conversation_id, speaker])).toEqual([
      ['m1', 'k9', 'user'],
      ['m2', 'k9', 'bot'],
      ['m3', 'k9', 'agent'],
    ]);
    expect(leftOut).toMatchObject([{ reason: 'no_text' }]);
  });
});
