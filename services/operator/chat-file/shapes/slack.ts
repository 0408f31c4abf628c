import { basename, dirname } from 'node:path';
import { nameIn } from '../fields.ts';
import { isObject, type Json } from '../json-value.ts';
import { layoutWhere } from '../lists.ts';
import type { People } from '../people.ts';
import type { Draft, Omission, Shape } from '../shape.ts';
import { words } from '../words.ts';

/** Kinds of entries that somebody wrote; the others are joins, topics, pins and the like. */
const WRITTEN = new Set([undefined, 'bot_message', 'thread_broadcast', 'me_message', 'file_share', 'file_comment']);
const ENTITIES: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>' };

const isSlack = (record: Json): boolean =>
  record['type'] === 'message' && typeof record['ts'] === 'string' && /^\d{9,}\.\d+$/.test(record['ts']);

/** Slack writes three characters of a text as entities, and those alone; people and channels stand there by their ids. */
const plain = (text: unknown, people: People): unknown =>
  typeof text === 'string'
    ? text
        .replace(/<@(\w+)(?:\|([^<>|]+))?>/g, (mention, id, name) => {
          const shown = people.get(id)?.shown ?? name;
          return shown === undefined ? mention : `@${shown}`;
        })
        .replace(/<#\w+\|([^<>|]+)>/g, '#$1')
        .replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity] ?? entity)
    : text;

/**
 * Slack: a folder a channel with a file a day, each a list of messages; also the API's `{"messages":[…]}`. A thread is a
 * conversation of its own, what is said outside of threads is the channel's.
 * https://slack.com/help/articles/220556107-How-to-read-Slack-data-exports
 */
export const slackShape: Shape = {
  name: 'slack',
  title: 'Slack export',
  recognise: (sample) => layoutWhere(sample, isSlack),
  *messages(record, { headers, path, fileConversation, people }): Iterable<Draft | Omission> {
    if (!isObject(record) || record['type'] !== 'message' || !WRITTEN.has(record['subtype'] as string | undefined)) {
      yield { reason: 'not_a_message', problem: 'is an entry of Slack that is no message' };
      return;
    }
    const around = Object.assign({}, ...headers) as Json;
    const folder = basename(dirname(path));
    const isDay = /^\d{4}-\d{2}-\d{2}\.json/.test(basename(path));
    const named = nameIn(record, ['channel']) ?? nameIn(around, ['channel_id', 'channel', 'name']);
    const channel = named ?? (isDay ? folder : fileConversation);
    const profile = isObject(record['user_profile']) ? record['user_profile'] : {};
    const person = people.get(String(record['user']));
    const isBot = record['bot_id'] !== undefined || record['subtype'] === 'bot_message' || person?.isBot === true;
    yield {
      raw: record,
      id: record['ts'],
      conversation: record['thread_ts'] === undefined ? channel : `${channel}:${String(record['thread_ts'])}`,
      role: isBot ? 'bot' : 'user',
      names: [
        record['user'],
        record['bot_id'],
        record['username'],
        profile['real_name'],
        profile['display_name'],
        profile['name'],
        ...(person?.names ?? []),
      ],
      text: words(plain(record['text'], people)),
      time: record['ts'],
      user: isBot ? undefined : record['user'],
      channel: 'slack',
    };
  },
};
