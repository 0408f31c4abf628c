import { isObject, type Json } from '../json-value.ts';
import type { Draft, Omission, Sample, Shape } from '../shape.ts';
import { words } from '../words.ts';

/** One chat, or all of an account: chats that were left stand in a list of their own. */
const ONE = ['$.messages.*'];
const ALL = ['$.chats.list.*.messages.*', '$.left_chats.list.*.messages.*'];

const isEntry = (value: unknown): boolean =>
  isObject(value) && (value['type'] === 'message' || value['type'] === 'service') && 'date' in value;
const isChat = (value: unknown): value is Json =>
  isObject(value) && Array.isArray(value['messages']) && (value['messages'] as unknown[]).some(isEntry);

const listOf = (value: unknown): readonly unknown[] =>
  isObject(value) && Array.isArray(value['list']) ? (value['list'] as unknown[]) : [];

function layoutOf(sample: Sample) {
  if (sample.kind !== 'document' || !isObject(sample.root)) return undefined;
  if (isChat(sample.root)) return { lists: ONE };
  const chats = [...listOf(sample.root['chats']), ...listOf(sample.root['left_chats'])];
  return chats.some(isChat) ? { lists: ALL } : undefined;
}

/**
 * Telegram Desktop's JSON: a chat is a conversation. In a chat with a bot the chat's own id is the bot's.
 * https://core.telegram.org/import-export
 */
export const telegramShape: Shape = {
  name: 'telegram',
  title: 'Telegram export',
  recognise: layoutOf,
  *messages(record, { headers, fileConversation }): Iterable<Draft | Omission> {
    if (!isObject(record) || record['type'] !== 'message') {
      yield { reason: 'not_a_message', problem: 'is an entry of Telegram that is no message' };
      return;
    }
    const chat = headers.at(-1) ?? {};
    const isBot = chat['type'] === 'bot_chat' && record['from_id'] === `user${String(chat['id'])}`;
    yield {
      raw: record,
      id: record['id'],
      conversation: chat['id'] ?? fileConversation,
      role: isBot ? 'bot' : 'user',
      names: [record['from'], record['from_id']],
      text: words(record['text']),
      time: record['date_unixtime'] ?? record['date'],
      user: isBot ? undefined : record['from_id'],
      channel: 'telegram',
    };
  },
};
