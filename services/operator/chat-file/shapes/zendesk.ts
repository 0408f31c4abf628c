import type { Speaker } from '../../../core/wire-codes.ts';
import { isObject, type Json } from '../json-value.ts';
import { layoutWhere } from '../lists.ts';
import type { Draft, Omission, RecordContext, Shape } from '../shape.ts';
import { words } from '../words.ts';

const listIn = (record: Json, field: string): readonly unknown[] | undefined =>
  Array.isArray(record[field]) ? (record[field] as unknown[]) : undefined;

const isComment = (value: unknown): boolean =>
  isObject(value) && 'author_id' in value && ('body' in value || 'plain_body' in value);
const isChatEntry = (value: unknown): boolean =>
  isObject(value) && /^chat\.\w/.test(String(value['type'])) && 'timestamp' in value;
/** Sunshine Conversations. */
const isMessage = (value: unknown): boolean =>
  isObject(value) && 'received' in value && isObject(value['author']) && isObject(value['content']);
const isZendesk = (record: Json): boolean =>
  [record, ...(listIn(record, 'comments') ?? [])].some(isComment) ||
  [record, ...(listIn(record, 'history') ?? [])].some(isChatEntry) ||
  [record, ...(listIn(record, 'messages') ?? [])].some(isMessage);

/** A ticket's comment: its requester is the user; the others are agents, unless the users beside it say otherwise. */
function ofComment(comment: Json, context: RecordContext): Draft | Omission {
  if (comment['public'] === false) return { reason: 'not_a_message', problem: 'is a comment that only agents see' };
  const ticket = context.headers.at(-1) ?? {};
  const users = context.headers.flatMap((header) => listIn(header, 'users') ?? []).filter(isObject);
  const author = users.find(({ id }) => id === comment['author_id']);
  const role = author?.['role'];
  const isRequester =
    ticket['requester_id'] === undefined ? role === 'end-user' : comment['author_id'] === ticket['requester_id'];
  return {
    raw: comment,
    id: comment['id'] ?? context.recordId,
    conversation: comment['ticket_id'] ?? ticket['ticket_id'] ?? ticket['id'] ?? context.fileConversation,
    role: isRequester || role === 'end-user' ? 'user' : 'agent',
    names: [comment['author_id'], author?.['name']],
    text: words(comment['plain_body'] ?? comment['body']),
    time: comment['created_at'],
    user: isRequester ? comment['author_id'] : undefined,
    channel: 'zendesk',
  };
}

/** An entry of Zendesk Chat's history. Triggers are answers without an agent. */
function ofChatEntry(entry: Json, context: RecordContext): Draft | Omission {
  if (entry['type'] !== 'chat.msg') return { reason: 'not_a_message', problem: 'is an event of Zendesk Chat' };
  const chat = context.headers.at(-1) ?? {};
  const nick = String(entry['nick'] ?? entry['sender_type'] ?? '').toLowerCase();
  const role: Speaker = nick.startsWith('visitor')
    ? 'user'
    : nick.includes('trigger') || nick.includes('bot')
      ? 'bot'
      : 'agent';
  return {
    raw: entry,
    id: entry['msg_id'] ?? context.recordId,
    conversation: chat['id'] ?? context.fileConversation,
    role,
    names: [entry['name'], entry['nick']],
    text: words(entry['msg']),
    time: entry['timestamp'],
    channel: 'zendesk-chat',
  };
}

function ofMessage(message: Json, context: RecordContext): Draft {
  const author = isObject(message['author']) ? message['author'] : {};
  const isBot = listIn(author, 'subtypes')?.includes('AI') === true;
  const around = context.headers.at(-1) ?? {};
  const conversation = isObject(around['conversation'])
    ? around['conversation']['id']
    : (around['conversationId'] ?? around['id']);
  return {
    raw: message,
    id: message['id'] ?? context.recordId,
    conversation: message['conversationId'] ?? conversation ?? context.fileConversation,
    speaker: author['type'],
    ...(isBot && { role: 'bot' as const }),
    names: [author['displayName'], author['userId']],
    text: isObject(message['content']) ? words(message['content']['text']) : null,
    time: message['received'],
    user: author['type'] === 'user' ? author['userId'] : undefined,
    channel: 'zendesk',
  };
}

function ofEntry(entry: unknown, context: RecordContext): Draft | Omission {
  if (!isObject(entry)) return { reason: 'not_an_object', problem: 'is not a JSON object' };
  if (isChatEntry(entry)) return ofChatEntry(entry, context);
  if (isMessage(entry)) return ofMessage(entry, context);
  if (isComment(entry)) return ofComment(entry, context);
  return { reason: 'not_a_message', problem: 'is an entry of Zendesk that is no message' };
}

/**
 * Zendesk: tickets with `comments`, chats with `history`, conversations with `messages`, or one of these lists alone.
 * https://developer.zendesk.com/api-reference/
 */
export const zendeskShape: Shape = {
  name: 'zendesk',
  title: 'Zendesk tickets, chats or conversations',
  recognise: (sample) => layoutWhere(sample, isZendesk),
  *messages(record, context): Iterable<Draft | Omission> {
    const inner = isObject(record)
      ? (listIn(record, 'comments') ?? listIn(record, 'history') ?? listIn(record, 'messages'))
      : undefined;
    if (!inner || !isObject(record)) {
      yield ofEntry(record, context);
      return;
    }
    const fileConversation = `${context.fileConversation}-${context.recordId}`;
    const headers = [...context.headers, record];
    for (const [index, entry] of inner.entries()) {
      yield ofEntry(entry, { ...context, headers, fileConversation, recordId: `${context.recordId}.${index + 1}` });
    }
  },
};
