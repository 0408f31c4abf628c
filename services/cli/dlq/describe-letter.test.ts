import { expect, it } from '@jest/globals';
import type { FetchedRecord } from '../../platform/kafka/record.ts';
import { sampleEvent } from '../../platform/testing/sample-event.ts';
import { readDeadLetter } from '../../replay/dead-letter-record.ts';
import { describeLetter, letterDocument } from './describe-letter.ts';

const record: FetchedRecord = {
  offset: 1,
  timestamp: 1_790_000_000_000,
  key: null,
  value: Buffer.from('bytes'),
  headers: { sly: Buffer.from('\u001b[2Jgone\r\nnew line') },
  size: 5,
};
const event = sampleEvent({ text: 'secret', metadata: new Map([['mood', 'private']]) });
const read = { letter: readDeadLetter(0, record), event, problem: null };

it('prints a letter of strangers without letting it steer the terminal', () => {
  const text = describeLetter(letterDocument(read, { text: false, bytes: false }));
  expect(text).toContain('\\x1b[2Jgone\\x0d\\x0anew line');
  expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
});

it('keeps text and metadata to itself unless they are asked for', () => {
  const quiet = JSON.stringify(letterDocument(read, { text: false, bytes: false }));
  expect(quiet).not.toMatch(/secret|private|base64/);
  expect(JSON.parse(quiet)).toMatchObject({ event: { text_chars: 6, metadata_keys: ['mood'] } });
  expect(letterDocument(read, { text: true, bytes: true })).toMatchObject({
    event: { text: 'secret', metadata: { mood: 'private' } },
    value_base64: Buffer.from('bytes').toString('base64'),
  });
});
