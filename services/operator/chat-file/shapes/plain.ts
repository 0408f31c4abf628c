import { nameIn } from '../fields.ts';
import { isObject, type Json } from '../json-value.ts';
import { layoutWhere } from '../lists.ts';
import type { Draft, Omission, RecordContext, Shape } from '../shape.ts';

const CONVERSATION = ['conversation_id', 'conversationId', 'chat_id', 'chatId', 'session_id', 'sessionId', 'thread_id'];
/** Ids of an object around messages. */
const OWN_ID = ['id', '_id', 'uuid', 'sender_id'];
const SPEAKER = ['speaker', 'role', 'sender', 'author', 'from'];
const TEXT = ['text', 'content', 'message', 'body', 'value', 'utterance'];
const ID = ['id', 'message_id', 'messageId', '_id', 'uuid'];
const TIME = ['sent_at', 'ts', 'timestamp', 'created_at', 'createdAt', 'create_time', 'date', 'time'];
const TURNS = ['messages', 'turns', 'conversation', 'conversations', 'dialogue', 'utterances', 'history'];

/** The first of these fields that is there and not null. */
const first = (record: Json, fields: readonly string[]): unknown =>
  record[fields.find((field) => record[field] !== undefined && record[field] !== null) ?? ''];

const turnsOf = (record: Json): readonly unknown[] | undefined =>
  TURNS.map((field) => record[field]).find((turns) => Array.isArray(turns)) as readonly unknown[] | undefined;

const has = (record: Json, fields: readonly string[]) => fields.some((field) => field in record);
export const looksLikeMessage = (record: unknown): record is Json =>
  isObject(record) && has(record, TEXT) && (has(record, SPEAKER) || has(record, CONVERSATION));
const looksLikeConversation = (record: Json): boolean => turnsOf(record)?.some(looksLikeMessage) === true;
/** `system`, `user` and `assistant` alone could be anybody's; `role` beside `content` is OpenAI's. */
const isOpenAi = (record: unknown): boolean => isObject(record) && 'role' in record && 'content' in record;

function draftOf(record: Json, context: RecordContext): Draft {
  const around = [...context.headers].reverse();
  const conversation =
    nameIn(record, CONVERSATION) ??
    around.map((header) => nameIn(header, [...CONVERSATION, ...OWN_ID])).find((name) => name !== undefined);
  return {
    raw: record,
    id: first(record, ID) ?? context.recordId,
    // Turns without any name around them are one conversation when they are OpenAI's, or an object's own.
    conversation: conversation ?? (around.length > 0 || isOpenAi(record) ? context.fileConversation : undefined),
    speaker: first(record, SPEAKER),
    text: first(record, TEXT),
    time: first(record, TIME),
    user: record['user_id'] ?? record['userId'],
    channel: record['channel'],
    version: record['bot_version'],
    metadata: record['metadata'],
  };
}

/** The message that a record is, or those of its turns. */
export function* messagesOf(record: unknown, context: RecordContext): Iterable<Draft | Omission> {
  if (!isObject(record)) {
    yield { reason: 'not_an_object', problem: 'is not a JSON object' };
    return;
  }
  const turns = has(record, TEXT) ? undefined : turnsOf(record);
  if (!turns) {
    yield draftOf(record, context);
    return;
  }
  const inner = {
    ...context,
    headers: [...context.headers, record],
    fileConversation: `${context.fileConversation}-${context.recordId}`,
  };
  for (const [index, turn] of turns.entries()) {
    if (isObject(turn)) yield draftOf(turn, { ...inner, recordId: `${context.recordId}.${index + 1}` });
    else yield { reason: 'not_an_object', problem: 'is not a JSON object' };
  }
}

/** One message a record, in Parley's names or those that others use. */
export const messagesShape: Shape = {
  name: 'messages',
  title: 'one message a record',
  recognise: (sample) =>
    layoutWhere(sample, looksLikeMessage) ??
    (sample.kind === 'document' && looksLikeMessage(sample.root) ? { lists: ['$'] } : undefined),
  messages: messagesOf,
};

/** One conversation a record, with a list of turns. */
export const conversationsShape: Shape = {
  name: 'conversations',
  title: 'one conversation a record',
  recognise: (sample) => layoutWhere(sample, looksLikeConversation),
  messages: messagesOf,
};

/** Turns with `role` and `content`, in a list or by conversation. */
export const openAiShape: Shape = {
  name: 'openai',
  title: "OpenAI's role and content",
  recognise: (sample) => layoutWhere(sample, (record) => isOpenAi(record) || turnsOf(record)?.some(isOpenAi) === true),
  messages: messagesOf,
};
