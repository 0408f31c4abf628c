import { expect, it } from '@jest/globals';
import { DocumentParser } from './document-parser.ts';

const write = (parser: DocumentParser, text: string) => {
  parser.write(Buffer.from(text));
  return parser.take();
};

it('an element is forgotten once it is handed out; the fields around its list stay', () => {
  const parser = new DocumentParser(['$.chats.*.messages.*']);
  const [first] = write(parser, '{"about":"x","chats":[{"name":"a","messages":[{"n":1},');
  expect(first).toEqual({
    value: { n: 1 },
    headers: [
      { about: 'x', chats: expect.anything() },
      { name: 'a', messages: expect.anything() },
    ],
    line: 1,
    character: 47,
  });
  for (let n = 2; n < 1_000; n++) expect(write(parser, `\n{"n":${n}},`)).toMatchObject([{ value: { n }, line: n }]);
  expect(JSON.stringify(parser.root)).toBe('{"about":"x","chats":[{"name":"a","messages":[]}]}');
  const [last] = write(parser, '{"n":0}]},{"name":"b","messages":[{"n":5}]}]}').slice(-1);
  expect(last).toMatchObject({ value: { n: 5 }, headers: [{ about: 'x' }, { name: 'b' }] });
  parser.end();
});

it.each([
  ['{"a":1,}', 1, 8, '}'],
  ['[1\n 2]', 2, 2, '2'],
  ['{"ä":\n\n"ü" x}', 3, 5, 'x'],
  ['{"a":tru}', 1, 9, '}'],
  ['{"a":1', 1, 7, null],
  ['["a', 1, 4, null],
])('a fault in %j is named by its place', (text, line, character, found) => {
  for (const size of [1, 3, 100]) {
    const parser = new DocumentParser(['$.*']);
    const read = () => {
      for (let at = 0; at < text.length * 2; at += size) parser.write(Buffer.from(text).subarray(at, at + size));
      parser.end();
    };
    expect(read).toThrow(expect.objectContaining({ place: { line, character }, found }));
  }
});
