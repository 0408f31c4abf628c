import type { LeftOutGroup } from '../../operator/chat-file/left-out.ts';
import type { InputFacts, Mended } from '../../operator/chat-file/read-chats.ts';

const count = (value: number): string => value.toLocaleString('en');

/** `chats.json.gz: OpenAI's role and content (JSON, messages[]; gzip; utf-16le)` */
export const describeInput = ({ path, title, form, packing, encoding }: InputFacts): string =>
  `${path}: ${title} (${[form, ...(packing ? [packing] : []), ...(encoding === 'utf-8' ? [] : [encoding])].join('; ')})`;

/** What was left out and mended, a line each. */
export function describeLeftOut({ left_out, mended }: { left_out: readonly LeftOutGroup[]; mended: Mended }): string[] {
  return [
    ...left_out.map(({ count: times, reason, problem, examples }) => {
      const [place] = examples;
      const where = place
        ? ` (first: ${place.file} line ${place.line}${place.character === null ? '' : `, character ${place.character}`}${describeFound(place.found)})`
        : '';
      return `Left out ${count(times)} as ${reason}: ${problem}${where}`;
    }),
    ...(mended.metadata_keys > 0
      ? [`Left out ${count(mended.metadata_keys)} keys of metadata that are too long or too many.`]
      : []),
    ...(mended.bytes > 0 ? [`Replaced ${count(mended.bytes)} bytes that are no text in this encoding by U+FFFD.`] : []),
  ];
}

const describeFound = (found: string | null): string => {
  const code = found?.codePointAt(0);
  return code === undefined ? '' : `: ${JSON.stringify(found)}, U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
};
