import { isObject, type Json } from '../json-value.ts';
import { layoutWhere } from '../lists.ts';
import type { Draft, Omission, Shape } from '../shape.ts';
import { words } from '../words.ts';

/** 20 and 23 are answers to commands, which the exporter has no name for. */
const WRITTEN = new Set(['Default', 'Reply', '20', '23']);

const isDiscord = (record: Json): boolean =>
  isObject(record['author']) && 'isBot' in record['author'] && 'content' in record && 'timestamp' in record;

/**
 * DiscordChatExporter's JSON: one channel or thread a file, which is one conversation.
 * https://github.com/Tyrrrz/DiscordChatExporter
 */
export const discordShape: Shape = {
  name: 'discord',
  title: 'Discord exporter',
  recognise: (sample) => layoutWhere(sample, isDiscord),
  *messages(record, { headers, fileConversation }): Iterable<Draft | Omission> {
    if (!isObject(record) || !WRITTEN.has(String(record['type'] ?? 'Default'))) {
      yield { reason: 'not_a_message', problem: 'is an entry of Discord that is no message' };
      return;
    }
    const author = isObject(record['author']) ? record['author'] : {};
    const channel = headers.map((header) => header['channel']).find(isObject);
    yield {
      raw: record,
      id: record['id'],
      conversation: channel?.['id'] ?? fileConversation,
      role: author['isBot'] === true ? 'bot' : 'user',
      names: [author['id'], author['name'], author['nickname']],
      text: words(record['content']),
      time: record['timestamp'],
      user: author['isBot'] === true ? undefined : author['id'],
      channel: 'discord',
    };
  },
};
