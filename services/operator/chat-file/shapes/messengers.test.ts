import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readContent, readFiles } from '../testing/read.ts';

describe('a Slack export', () => {
  const day = [
    {
      type: 'message',
      subtype: 'channel_join',
      ts: '1790000000.000100',
      user: 'U1',
      text: '<@U1> has joined the channel',
    },
    {
      type: 'message',
      ts: '1790000001.000200',
      user: 'U1',
      text: 'R&amp;D &lt;now&gt;',
      user_profile: { real_name: 'Ada L' },
    },
    { type: 'message', ts: '1790000002.000300', bot_id: 'B1', text: 'Noted.', thread_ts: '1790000001.000900' },
    { type: 'message', ts: '1790000003.000400', user: 'U2', text: '', files: [{ name: 'plan.png' }] },
  ];

  it('of a folder a channel in a zip is one conversation a channel and a thread; joins and pictures are counted', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-slack-'));
    try {
      await mkdir(join(folder, 'help-desk'));
      await writeFile(join(folder, 'users.json'), '[{"id":"U1","name":"ada"}]');
      await writeFile(join(folder, 'help-desk', '2026-09-21.json'), JSON.stringify(day, null, 4));
      execFileSync('zip', ['-q', '-r', 'export.zip', 'users.json', 'help-desk'], { cwd: folder });
      const { lines, leftOut, inputs } = await readFiles([join(folder, 'export.zip')]);
      expect(inputs).toMatchObject([{ shape: 'slack', packing: 'zip' }]);
      expect(lines).toEqual([
        {
          id: '1790000001.000200',
          conversation_id: 'help-desk',
          speaker: 'user',
          text: 'R&D <now>',
          sent_at: 1_790_000_001_000,
          user_id: 'U1',
          channel: 'slack',
        },
        {
          id: '1790000002.000300',
          conversation_id: 'help-desk:1790000001.000900',
          speaker: 'bot',
          text: 'Noted.',
          sent_at: 1_790_000_002_000,
          channel: 'slack',
        },
      ]);
      expect(leftOut.map(({ reason }) => reason)).toEqual(['not_a_message', 'no_text']);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('of a zip names people as its users.json does, for --speaker and in mentions, and knows its bots', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-slack-'));
    const users = [
      { id: 'U1', name: 'ada', profile: { real_name: 'Ada L', display_name: 'Countess' } },
      { id: 'U2', name: 'deploys', is_bot: true, profile: { display_name: '' } },
      { name: 'nobody' },
    ];
    const said = (ts: string, user: string, text: string) => ({ type: 'message', ts, user, text });
    const messages = [
      said('1790000001.000100', 'U1', 'Ask <@U2> or <@U3|grace> in <#C1|ops>, <@U9>.'),
      said('1790000002.000100', 'U2', 'Done, <@U1> &amp; all.'),
    ];
    try {
      await mkdir(join(folder, 'ops'));
      await writeFile(join(folder, 'users.json'), JSON.stringify(users));
      await writeFile(join(folder, 'ops', '2026-09-21.json'), JSON.stringify(messages));
      execFileSync('zip', ['-q', '-r', 'export.zip', 'users.json', 'ops'], { cwd: folder });
      const { lines } = await readFiles([join(folder, 'export.zip')], { speakers: new Map([['ada l', 'agent']]) });
      expect(lines).toMatchObject([
        { speaker: 'agent', user_id: 'U1', text: 'Ask @deploys or @grace in #ops, <@U9>.' },
        { speaker: 'bot', text: 'Done, @Countess & all.' },
      ]);
      expect(lines[1]).not.toHaveProperty('user_id');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("in the API's form has its channel from around, and a name says who is an agent", async () => {
    const { lines } = await readContent(JSON.stringify({ ok: true, channel_id: 'C7', messages: day }), {
      speakers: new Map([['ada l', 'agent']]),
    });
    expect(lines).toMatchObject([{ conversation_id: 'C7', speaker: 'agent' }, { speaker: 'bot' }]);
  });
});

it("a Discord exporter's channel is one conversation; bots are bots, pins are counted", async () => {
  const author = (id: string, isBot: boolean) => ({ id, name: `n${id}`, nickname: `nick${id}`, isBot });
  const message = (id: string, type: string, by: object, content: string) => ({
    id,
    type,
    timestamp: '2026-09-21T16:13:20.5+02:00',
    content,
    author: by,
    attachments: [],
  });
  const { lines, leftOut, inputs } = await readContent(
    JSON.stringify(
      {
        guild: { id: '1', name: 'Bike club' },
        channel: { id: '900000000000000001', type: 'GuildTextChat', name: 'repairs' },
        messages: [
          message('900000000000000002', 'Default', author('5', false), 'Any spare tube?'),
          message('900000000000000003', 'Reply', author('6', true), 'On the shelf.'),
          message('900000000000000004', 'ChannelPinnedMessage', author('5', false), 'Pinned a message.'),
          message('900000000000000005', 'Default', author('5', false), ''),
        ],
        messageCount: 4,
      },
      null,
      2,
    ),
  );
  expect(inputs).toMatchObject([{ shape: 'discord', form: 'JSON, messages[]' }]);
  expect(lines).toEqual([
    {
      id: '900000000000000002',
      conversation_id: '900000000000000001',
      speaker: 'user',
      text: 'Any spare tube?',
      sent_at: Date.UTC(2026, 8, 21, 14, 13, 20, 500),
      user_id: '5',
      channel: 'discord',
    },
    expect.objectContaining({ id: '900000000000000003', speaker: 'bot', text: 'On the shelf.' }),
  ]);
  expect(leftOut.map(({ reason }) => reason)).toEqual(['not_a_message', 'no_text']);
});

describe('a Telegram export', () => {
  const chat = {
    name: 'Shop',
    type: 'bot_chat',
    id: 77,
    messages: [
      { id: 1, type: 'service', date: '2026-09-21T16:13:19', action: 'create_chat' },
      {
        id: 2,
        type: 'message',
        date: '2026-09-21T16:13:20',
        date_unixtime: '1790000000',
        from: 'Ada',
        from_id: 'user5',
        text: ['see ', { type: 'link', text: 'example.org' }],
      },
      {
        id: 3,
        type: 'message',
        date: '2026-09-21T16:13:21',
        date_unixtime: '1790000001',
        from: 'Shop',
        from_id: 'user77',
        text: 'Thanks.',
      },
      {
        id: 4,
        type: 'message',
        date: '2026-09-21T16:13:22',
        date_unixtime: '1790000002',
        from: 'Ada',
        from_id: 'user5',
        text: '',
        photo: 'p.jpg',
      },
    ],
  };

  it.each([
    ['one chat', chat, 'JSON, messages[]'],
    [
      'an account',
      { about: 'x', chats: { about: 'y', list: [chat] }, left_chats: { list: [] } },
      'JSON, chats.list[].messages[] and left_chats.list[].messages[]',
    ],
  ])('of %s has its bot by the id of the chat', async (_, root, form) => {
    const { lines, leftOut, inputs } = await readContent(JSON.stringify(root, null, 1));
    expect(inputs).toMatchObject([{ shape: 'telegram', form }]);
    expect(lines).toMatchObject([
      {
        id: '2',
        conversation_id: '77',
        speaker: 'user',
        text: 'see example.org',
        sent_at: 1_790_000_000_000,
        user_id: 'user5',
      },
      { id: '3', conversation_id: '77', speaker: 'bot', text: 'Thanks.' },
    ]);
    expect(leftOut.map(({ reason }) => reason)).toEqual(['not_a_message', 'no_text']);
  });
});

describe('a WhatsApp text', () => {
  const at = (month: number, day: number, hour: number, minute: number, second = 0) =>
    new Date(2023, month - 1, day, hour, minute, second).getTime();

  it('of Android goes on over lines; what the app says itself is counted', async () => {
    const content = [
      '31.12.23, 22:15 - Messages are end-to-end encrypted.',
      '31.12.23, 22:16 - Ada: first line',
      '',
      'third line: with a colon',
      '31.12.23, 22:17 - Shop Team: <Media omitted>',
      '31.12.23, 22:18 - Shop Team: see you',
    ].join('\r\n');
    const { lines, leftOut, inputs } = await readContent(content, { speakers: new Map([['shop team', 'agent']]) });
    expect(inputs).toMatchObject([{ shape: 'whatsapp', form: 'text' }]);
    expect(lines).toEqual([
      {
        id: '2',
        conversation_id: 'run',
        speaker: 'user',
        text: 'first line\n\nthird line: with a colon',
        sent_at: at(12, 31, 22, 16),
        user_id: 'Ada',
        channel: 'whatsapp',
      },
      {
        id: '6',
        conversation_id: 'run',
        speaker: 'agent',
        text: 'see you',
        sent_at: at(12, 31, 22, 18),
        user_id: 'Shop Team',
        channel: 'whatsapp',
      },
    ]);
    expect(leftOut.map(({ reason, place }) => [reason, place.line])).toEqual([
      ['not_a_message', 1],
      ['no_text', 5],
    ]);
  });

  it.each([
    ['[05/12/2023, 22:15:01] Ada: hi', at(12, 5, 22, 15, 1)],
    ['\u200e[31.12.23, 22:15:01] Ada: hi', at(12, 31, 22, 15, 1)],
    ['12/31/23, 10:15\u202fPM - Ada: hi', at(12, 31, 22, 15)],
    ['5/6/23, 12:05 AM - Ada: hi', at(5, 6, 0, 5)],
    ['5/6/23, 10:05 - Ada: hi', at(6, 5, 10, 5)],
    ['2023-06-05, 10:05 a. m. - Ada: hi', at(6, 5, 10, 5)],
    ['5/13/23, 10:05 - Ada: hi', at(5, 13, 10, 5)],
  ])('has the time of %j', async (line, sentAt) => {
    const { lines } = await readContent(line);
    expect(lines).toMatchObject([{ text: 'hi', sent_at: sentAt }]);
  });

  it('of an iPhone has marks before what the app writes, and after what was edited', async () => {
    const { lines, leftOut } = await readContent(
      [
        '[31.12.23, 22:15:01] Ada: \u200eimage omitted',
        '[31.12.23, 22:15:02] Ada: better \u200e<This message was edited>',
      ].join('\n'),
    );
    expect(lines).toMatchObject([{ text: 'better' }]);
    expect(leftOut).toMatchObject([{ reason: 'no_text' }]);
  });
});
