import {
  type AsyncApiDocument,
  type Channel,
  type Codes,
  type Message,
  nameOf,
  resolve,
  type Schema,
} from './asyncapi-document.ts';
import { fieldRows, formsOf } from './fields.ts';
import { code, jsonBlock, table } from './markdown.ts';

const FIELD_HEAD = ['field', 'required', 'type', 'allowed, meaning'];

/** The reference of the protocol, in Markdown: everything that the document says, and nothing else. */
export function renderReference(document: AsyncApiDocument): string {
  const { stream, ...topics } = document.channels as Record<string, Channel> & { stream: Channel };
  return `${[
    '# Protocol reference',
    'Generated from [`schemas/parley.asyncapi.yaml`](../schemas/parley.asyncapi.yaml) by `node services/gateway/reference/main.ts`; a test compares. What it all means is in [the protocol](protocol.md).',
    '## Frames from the bot',
    ...framesOf(document, stream, 'receive'),
    '## Frames from the gateway',
    ...framesOf(document, stream, 'send'),
    ...codesOf(stream),
    '## Topics',
    ...Object.values(topics).flatMap((topic) => topicOf(document, topic)),
  ].join('\n\n')}\n`;
}

function framesOf(document: AsyncApiDocument, stream: Channel, action: 'send' | 'receive'): string[] {
  const operations = Object.values(document.operations).filter(({ channel }) => resolve(document, channel) === stream);
  const received = operations.filter((it) => it.action === 'receive');
  const sent = operations.filter((it) => it.action === 'send');
  const references =
    action === 'receive'
      ? received.flatMap(({ messages }) => messages)
      : [...received.flatMap(({ reply }) => reply?.messages ?? []), ...sent.flatMap(({ messages }) => messages)];
  return [...new Set(references.map(nameOf))].flatMap((name) =>
    frameOf(document, name, document.components.messages[name] as Message),
  );
}

function frameOf(document: AsyncApiDocument, name: string, { summary, payload, examples = [] }: Message): string[] {
  const forms = formsOf(document, payload as Schema);
  return [
    `### ${code(name)}`,
    summary,
    ...forms.flatMap((form) => [
      ...(forms.length > 1 ? [`As ${form.name}:`] : []),
      table(FIELD_HEAD, fieldRows(document, form.schema)),
    ]),
    ...examples.map((example) => jsonBlock(example.payload)),
  ];
}

function codesOf(stream: Channel): string[] {
  const codes = stream['x-codes'] as Codes;
  const closeNames = new Map(
    Object.entries(stream['x-close-codes'] ?? {}).map(([name, number]) => [`${number}`, name]),
  );
  const statuses = stream['x-handshake-refusals'] ?? {};
  const rows = (kind: keyof Codes, extra: (each: string) => string[] = () => []) =>
    Object.entries(codes[kind]).map(([each, { cause, remedy }]) => [code(each), ...extra(each), cause, remedy]);
  return [
    '## Codes of `nack` and `error`',
    'Final: the same frame will be refused again.',
    table(['code', 'cause', 'remedy'], rows('final')),
    'Temporary: the same frame may be sent again after `retry_after_ms`.',
    table(['code', 'cause', 'remedy'], rows('temporary')),
    '## Close codes of the WebSocket',
    table(
      ['code', 'name', 'cause', 'remedy'],
      rows('close', (each) => [closeNames.get(each) ?? '']),
    ),
    '## Refusals of the handshake',
    table(
      ['code', 'status', 'cause', 'remedy'],
      rows('handshake', (each) => [String(statuses[each])]),
    ),
  ];
}

function topicOf(document: AsyncApiDocument, { address, title, description, messages }: Channel): string[] {
  const references = Object.values(messages);
  return [
    `### ${code(address)}`,
    `${title}. ${description}`,
    ...references.flatMap((reference) => {
      const { summary, headers } = resolve<Message>(document, reference);
      return [summary, ...(headers ? [table(['header', ...FIELD_HEAD.slice(1)], fieldRows(document, headers))] : [])];
    }),
  ];
}
