import { isObject } from '../json-value.ts';
import { layoutWhere } from '../lists.ts';
import type { Draft, Omission, Shape } from '../shape.ts';

const isEvent = (value: unknown) => isObject(value) && typeof value['event'] === 'string' && 'timestamp' in value;
const events = (record: Readonly<Record<string, unknown>>) => {
  const list = record['events'];
  return Array.isArray(list) ? (list as readonly unknown[]) : undefined;
};
const isSpoken = (kind: unknown): kind is 'user' | 'bot' => kind === 'user' || kind === 'bot';

/**
 * Rasa: a tracker a record (`parley send tracker.jsonl`), or the tracker store's events, one a record with `sender_id`.
 * `user` and `bot` events are messages. https://rasa.com/docs/reference/primitives/events
 */
export const rasaShape: Shape = {
  name: 'rasa',
  title: 'Rasa tracker',
  recognise: (sample) => {
    if (sample.kind === 'document' && isObject(sample.root) && events(sample.root)?.some(isEvent)) {
      return { lists: ['$.events.*'] };
    }
    return layoutWhere(sample, (record) => isEvent(record) || events(record)?.some(isEvent) === true);
  },
  *messages(record, context): Iterable<Draft | Omission> {
    if (!isObject(record)) {
      yield { reason: 'not_an_object', problem: 'is not a JSON object' };
      return;
    }
    const tracker = events(record) ? record : context.headers.at(-1);
    for (const [index, event] of (events(record) ?? [record]).entries()) {
      const kind = isObject(event) ? event['event'] : undefined;
      if (!isObject(event) || !isSpoken(kind)) {
        yield { reason: 'not_a_message', problem: 'is a Rasa event that is neither user nor bot' };
        continue;
      }
      const { intent } = isObject(event['parse_data']) ? event['parse_data'] : {};
      yield {
        raw: event,
        id: event['message_id'] ?? `${context.recordId}.${index + 1}`,
        conversation: event['sender_id'] ?? tracker?.['sender_id'] ?? context.fileConversation,
        role: kind,
        text: event['text'],
        time: event['timestamp'],
        channel: event['input_channel'],
        metadata: {
          ...(isObject(event['metadata']) ? event['metadata'] : {}),
          ...(isObject(intent) && { intent: intent['name'] }),
        },
      };
    }
  },
};
