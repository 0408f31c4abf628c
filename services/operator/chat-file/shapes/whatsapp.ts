import { isObject } from '../json-value.ts';
import type { Draft, Omission, Shape } from '../shape.ts';
import { dateOrder, entriesOf, looksLikeWhatsApp } from './whatsapp-text.ts';

/** What the app writes in place of pictures, voices and deleted messages; on iPhones with a mark of direction before. */
const NO_WORDS =
  /^(\u200e.*|<[^<>]{3,60}>|.*\(file attached\)|this message was deleted\.?|you deleted this message\.?)$/is;
const EDITED = /\s*\u200e<[^<>]{3,60}>$/;

/** WhatsApp's text export: one chat, which is one conversation. Everybody is a user unless `--speaker` says otherwise. */
export const whatsappShape: Shape = {
  name: 'whatsapp',
  title: 'WhatsApp text',
  recognise: (sample) => (sample.kind === 'text' && looksLikeWhatsApp(sample.lines) ? { lists: [] } : undefined),
  async *records(lines, sample) {
    for await (const entry of entriesOf(lines, dateOrder(sample))) {
      yield { value: entry, place: { line: entry.line, character: 1 } };
    }
  },
  *messages(record, { recordId, fileConversation }): Iterable<Draft | Omission> {
    if (!isObject(record) || record['name'] === null) {
      yield { reason: 'not_a_message', problem: 'is an entry of WhatsApp that nobody wrote' };
      return;
    }
    const text = String(record['text']).replace(EDITED, '');
    yield {
      raw: record,
      id: recordId,
      conversation: fileConversation,
      role: 'user',
      names: [record['name']],
      text: NO_WORDS.test(text) || text === '' ? null : text,
      time: record['time'],
      user: record['name'],
      channel: 'whatsapp',
    };
  },
};
