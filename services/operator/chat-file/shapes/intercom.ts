import { isObject, type Json } from '../json-value.ts';
import { layoutWhere } from '../lists.ts';
import type { Draft, Omission, Shape } from '../shape.ts';
import { textOfHtml, words } from '../words.ts';

/** Parts that only the team sees. */
const INTERNAL = new Set(['note', 'note_and_reopen']);

const partsOf = (record: Json): readonly unknown[] => {
  const { conversation_parts: list } = record as { conversation_parts?: unknown };
  const parts = isObject(list) ? list['conversation_parts'] : list;
  return Array.isArray(parts) ? (parts as unknown[]) : [];
};
/** The message that opened the conversation; the older API has another name for it. */
const openingOf = (record: Json): Json | undefined =>
  [record['source'], record['conversation_message']].filter(isObject)[0];

const isIntercom = (record: Json): boolean =>
  record['type'] === 'conversation' ||
  (isObject(record['conversation_parts']) && 'conversation_parts' in record['conversation_parts']);

/** Intercom's conversations with their parts. https://developers.intercom.com/docs/references/rest-api/api.intercom.io/conversations */
export const intercomShape: Shape = {
  name: 'intercom',
  title: 'Intercom conversations',
  recognise: (sample) =>
    layoutWhere(sample, isIntercom) ??
    (sample.kind === 'document' && isObject(sample.root) && isIntercom(sample.root) ? { lists: ['$'] } : undefined),
  *messages(record, { recordId }): Iterable<Draft | Omission> {
    if (!isObject(record)) {
      yield { reason: 'not_an_object', problem: 'is not a JSON object' };
      return;
    }
    const opening = openingOf(record);
    const entries = [...(opening ? [{ created_at: record['created_at'], ...opening }] : []), ...partsOf(record)];
    for (const [index, part] of entries.entries()) {
      if (!isObject(part) || INTERNAL.has(String(part['part_type']))) {
        yield { reason: 'not_a_message', problem: "is a note of Intercom's that only the team sees" };
        continue;
      }
      if (part['part_type'] !== undefined && part['part_type'] !== 'comment' && !part['body']) {
        yield { reason: 'not_a_message', problem: 'is an event of Intercom' };
        continue;
      }
      const author = isObject(part['author']) ? part['author'] : {};
      yield {
        raw: part,
        id: part['id'] ?? `${recordId}.${index + 1}`,
        conversation: record['id'] ?? recordId,
        speaker: author['type'],
        names: [author['name'], author['id'], author['email']],
        text: typeof part['body'] === 'string' ? words(textOfHtml(part['body'])) : null,
        time: part['created_at'],
        user: author['type'] === 'admin' || author['type'] === 'bot' ? undefined : author['id'],
        channel: 'intercom',
      };
    }
  },
};
