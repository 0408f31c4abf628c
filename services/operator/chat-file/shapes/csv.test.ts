import { describe, expect, it } from '@jest/globals';
import { readContent } from '../testing/read.ts';

describe('a table', () => {
  it('is read by its headings, whatever their case and the delimiter; quotes hold lines and delimiters', async () => {
    for (const delimiter of [',', ';', '\t']) {
      const rows = [
        ['Conversation ID', 'Sender', 'Message', 'Created At', 'Order'],
        ['77', 'Customer', `"first${delimiter} line\n\nand ""third"""`, '2026-09-21T14:13:20Z', '5'],
        ['77', 'Agent', 'Sent today', '1790000001', ''],
        ['77', 'Agent', '', '', ''],
        ['78', 'Robin', 'Hi', '', ''],
      ];
      const { lines, leftOut, inputs } = await readContent(
        `\ufeff${rows.map((cells) => cells.join(delimiter)).join('\r\n')}\r\n`,
      );
      expect(inputs).toMatchObject([{ shape: 'csv', form: 'text' }]);
      expect(lines).toEqual([
        {
          id: '4',
          conversation_id: '77',
          speaker: 'user',
          text: `first${delimiter} line\n\nand "third"`,
          sent_at: 1_790_000_000_000,
        },
        { id: '5', conversation_id: '77', speaker: 'agent', text: 'Sent today', sent_at: 1_790_000_001_000 },
      ]);
      expect(leftOut.map(({ reason, place }) => [reason, place.line])).toEqual([
        ['no_text', 6],
        ['unknown_speaker', 7],
      ]);
    }
  });

  it('with other headings is read by a mapping', async () => {
    const map = new Map([
      ['text', 'What was said'],
      ['conversation_id', 'Case'],
      ['speaker', 'Who'],
    ] as const);
    const { lines } = await readContent('Case,Who,What was said\n5,bot,hello\n', { map });
    expect(lines).toMatchObject([{ conversation_id: '5', speaker: 'bot', text: 'hello' }]);
  });
});
