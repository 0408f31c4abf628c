import { expect, it } from '@jest/globals';
import { jsonLines, readContent } from '../testing/read.ts';

const events = [
  { event: 'action', timestamp: 1_790_000_000.11, name: 'action_session_start' },
  {
    event: 'user',
    timestamp: 1_790_000_001.5,
    text: 'a room, please',
    parse_data: { intent: { name: 'book' } },
    input_channel: 'rest',
    message_id: 'm1',
  },
  { event: 'slot', timestamp: 1_790_000_002, name: 'n', value: 2 },
  { event: 'bot', timestamp: 1_790_000_003.25, text: 'For how long?', metadata: { utter_action: 'utter_ask' } },
  { event: 'bot', timestamp: 1_790_000_003.5, text: null, data: { image: 'x' } },
];

it('a Rasa tracker is its user and bot events in order; other events are counted', async () => {
  for (const content of [
    jsonLines({ sender_id: 'u-9', events }),
    JSON.stringify({ sender_id: 'u-9', events }, null, 2),
  ]) {
    const { lines, leftOut, inputs } = await readContent(content);
    expect(inputs).toMatchObject([{ shape: 'rasa' }]);
    expect(lines).toMatchObject([
      {
        id: 'm1',
        conversation_id: 'u-9',
        speaker: 'user',
        sent_at: 1_790_000_001_500,
        channel: 'rest',
        metadata: { intent: 'book' },
      },
      { conversation_id: 'u-9', speaker: 'bot', sent_at: 1_790_000_003_250, metadata: { utter_action: 'utter_ask' } },
    ]);
    expect(leftOut.map(({ reason }) => reason)).toEqual(['not_a_message', 'not_a_message', 'no_text']);
  }
});

it("a tracker store's events are read one a line", async () => {
  const { lines } = await readContent(jsonLines(...events.map((event) => ({ sender_id: 'u', ...event }))));
  expect(lines.map(({ conversation_id, speaker }) => [conversation_id, speaker])).toEqual([
    ['u', 'user'],
    ['u', 'bot'],
  ]);
});
