import { readFileSync } from 'node:fs';
import specs from '@asyncapi/specs';
import { describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';
import ajvFormats from 'ajv-formats';
import fc from 'fast-check';
import { parse } from 'yaml';
import { readConfig } from '../../core/config.ts';
import {
  CLOSE_CODES,
  DLQ_REASONS,
  FINAL_NACK_CODES,
  HANDSHAKE_REFUSALS,
  OUTCOMES,
  SPEAKERS,
  TEMPORARY_NACK_CODES,
} from '../../core/wire-codes.ts';
import { topicNames, topicSettings } from '../../platform/kafka/topics.ts';
import { LIMITS_SPEC, limitsOf, WELCOME_LIMITS } from '../config.ts';
import { validateFrame } from '../session/frame-validator.ts';
import { CLAIM_FIELDS, MESSAGE_FIELDS } from '../session/message-fields.ts';

// biome-ignore lint/suspicious/noExplicitAny: a parsed document has no type worth writing down for a test
type Document = any;

const schemasDir = new URL('../../../schemas/', import.meta.url);
const document: Document = parse(readFileSync(new URL('parley.asyncapi.yaml', schemasDir), 'utf8'));
const protocolPage = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
const limits = limitsOf(readConfig(LIMITS_SPEC, {}));

const schemas = new Ajv({ strict: false, allowUnionTypes: true });
schemas.addSchema({ $id: 'parley', components: document.components });
const schemaOf = (name: string) => schemas.compile({ $ref: `parley#/components/schemas/${name}` });

function references(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    key === '$ref' && typeof value === 'string' ? [value] : references(value),
  );
}

describe('parley.asyncapi.yaml', () => {
  it('is valid by the published schema of AsyncAPI 3.0', () => {
    const ajv = new Ajv({ strict: false, validateSchema: false, logger: false });
    (ajvFormats as unknown as (ajv: Ajv) => void)(ajv);
    const published = (specs as Document).schemasWithoutId?.['3.0.0'] ?? (specs as Document).schemas['3.0.0'];
    const validate = ajv.compile(published);
    validate(document);
    expect(validate.errors ?? []).toEqual([]);
    expect(validate({ ...document, asyncapi: '3.0.0', info: {} })).toBe(false);
  });

  it('has no reference that leads nowhere', () => {
    const all = references(document);
    expect(all.length).toBeGreaterThan(50);
    for (const reference of all) {
      if (reference.startsWith('./')) {
        expect(JSON.parse(readFileSync(new URL(reference, schemasDir), 'utf8'))).toHaveProperty('fields');
        continue;
      }
      const target = reference
        .slice(2)
        .split('/')
        .reduce((node: Document, part) => node?.[part], document);
      expect([reference, target !== undefined]).toEqual([reference, true]);
    }
  });

  it('lists the codes of the code, both ways', () => {
    const { schemas, messages } = document.components;
    expect(schemas.FinalCode.enum).toEqual([...FINAL_NACK_CODES]);
    expect(schemas.TemporaryCode.enum).toEqual([...TEMPORARY_NACK_CODES]);
    expect(document.channels.stream['x-close-codes']).toEqual(CLOSE_CODES);
    expect(document.channels.stream['x-handshake-refusals']).toEqual(HANDSHAKE_REFUSALS);
    expect(schemas.Message.properties.speaker.enum).toEqual([...SPEAKERS]);
    expect(messages.deadLetter.headers.properties['dlq-reason'].enum).toEqual([...DLQ_REASONS]);
    expect(messages.chatOutcome.headers.properties['parley-outcome'].enum).toEqual([...OUTCOMES, 'provisional']);
  });

  it('lists the limits with their defaults and variables, both ways', () => {
    const { properties, required } = document.components.schemas.Limits;
    const listed = Object.entries<Document>(properties).map(([name, it]) => [name, it['x-environment'], it.default]);
    const ours = Object.entries(WELCOME_LIMITS).map(([name, variable]) => [
      name,
      variable,
      LIMITS_SPEC[variable].default,
    ]);
    expect(listed).toEqual(ours);
    expect(required).toEqual(Object.keys(WELCOME_LIMITS));
    expect(Object.values(WELCOME_LIMITS).sort()).toEqual(Object.keys(LIMITS_SPEC).sort());
  });

  it('lists the fields of a message, both ways', () => {
    const { properties, required } = document.components.schemas.Message;
    const ours = Object.entries(MESSAGE_FIELDS);
    expect(Object.keys(properties)).toEqual(['type', ...ours.map(([name]) => name), ...Object.keys(CLAIM_FIELDS)]);
    expect(required).toEqual(['type', ...ours.filter(([, field]) => field.required).map(([name]) => name)]);
  });

  it('lists the topics with their settings', () => {
    const settings = topicSettings(topicNames());
    const channels = Object.values<Document>(document.channels).filter(({ bindings }) => bindings.kafka);
    expect(channels.map(({ address }) => address).sort()).toEqual(Object.keys(settings).sort());
    for (const { address, bindings } of channels) {
      const { topicConfiguration: configured } = bindings.kafka;
      const ours = settings[address] ?? {};
      expect(String(configured['retention.ms'])).toBe(ours['retention.ms']);
      expect(String(configured['max.message.bytes'] ?? '')).toBe(ours['max.message.bytes'] ?? '');
      expect(configured['cleanup.policy'].join()).toBe(ours['cleanup.policy']);
    }
  });

  it('gives examples that its own schemas accept', () => {
    const names = {
      message: 'Message',
      ack: 'Ack',
      nack: 'Nack',
      error: 'Error',
      ping: 'Ping',
      pong: 'Pong',
      goaway: 'Goaway',
      token_expiring: 'TokenExpiring',
      insight: 'Insight',
    };
    for (const [message, schema] of Object.entries(names)) {
      const validate = schemaOf(schema);
      const { examples } = document.components.messages[message];
      expect(examples.length).toBeGreaterThan(0);
      for (const { payload } of examples) {
        validate(payload);
        expect([message, validate.errors ?? []]).toEqual([message, []]);
        if (message !== 'message') continue;
        const check = validateFrame(
          JSON.stringify(payload),
          { limits, textTooLong: 'refuse' },
          { tenant: 't', bot: 'b' },
        );
        expect(check.kind).toBe('message');
      }
    }
  });

  it('accepts exactly the messages that the validator accepts', () => {
    const validate = schemaOf('Message');
    const text = (maxLength: number) => fc.string({ unit: 'binary', maxLength });
    const odd = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom<unknown>('', 'x'.repeat(129), '\u{1F600}'.repeat(128), '\u{1F600}'.repeat(129), 'a\0', '\ud800'),
      fc.constantFrom<unknown>(
        'x'.repeat(8_193),
        '\u{1F600}'.repeat(8_192),
        0,
        -1,
        1.5,
        2 ** 31,
        8.64e15,
        8.7e15,
        null,
      ),
      fc.dictionary(text(70), fc.oneof(text(5), fc.constantFrom<unknown>('x'.repeat(1_025), 1, true, null, 1.5, {})), {
        maxKeys: 40,
      }),
    );
    const mostly = (good: fc.Arbitrary<unknown>) =>
      fc.oneof({ weight: 12, arbitrary: good }, { weight: 1, arbitrary: odd });
    const message = fc.record(
      {
        type: mostly(fc.constant('message')),
        id: mostly(text(10)),
        conversation_id: mostly(text(10)),
        speaker: mostly(fc.constantFrom(...SPEAKERS)),
        text: mostly(text(30)),
        sent_at: mostly(
          fc.oneof(
            fc.integer({ min: 978_307_200_000, max: 4_102_444_799_999 }),
            fc.constantFrom(
              1_790_000_000_000.5,
              '1790000000000',
              '1790000000000.25',
              1_790_000_000,
              1_790_000_000_000_000,
            ),
          ),
        ),
        attempt: mostly(fc.integer({ min: 1, max: 9 })),
        user_id: mostly(text(5)),
        channel: mostly(text(5)),
        metadata: mostly(fc.dictionary(text(8), text(8))),
      },
      { requiredKeys: ['type', 'id', 'conversation_id', 'speaker', 'text'] },
    );
    const seen = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(message, (it) => {
        const data = JSON.stringify(it);
        const ours = validateFrame(data, { limits, textTooLong: 'refuse' }, { tenant: 't', bot: 'b' });
        seen[ours.kind === 'message' ? 'accepted' : 'refused'] += 1;
        expect([data, validate(JSON.parse(data))]).toEqual([data, ours.kind === 'message']);
      }),
      { numRuns: 1_500 },
    );
    expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(100);
  });
});

describe('docs/protocol.md', () => {
  /** The first cells of the table under a heading. */
  function tableUnder(heading: string): string[][] {
    const section = protocolPage.split(/^##+ /m).find((it) => it.startsWith(heading)) ?? '';
    const rows = section.split('\n').filter((line) => line.startsWith('| `'));
    return rows.map((row) =>
      row
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    );
  }
  const firstCells = (heading: string) => tableUnder(heading).map(([cell]) => cell);

  it('has a row with cause and remedy for every code, and for no other', () => {
    expect(firstCells('Final codes')).toEqual([...FINAL_NACK_CODES]);
    expect(firstCells('Temporary codes')).toEqual([...TEMPORARY_NACK_CODES]);
    const ours = Object.values(CLOSE_CODES).map(String);
    expect(firstCells('Close codes').filter((code) => ours.includes(code ?? ''))).toEqual(ours);
    expect(tableUnder('Handshake answers').map(([code, status]) => [code, Number(status)])).toEqual(
      Object.entries(HANDSHAKE_REFUSALS),
    );
    for (const heading of ['Final codes', 'Temporary codes', 'Close codes', 'Handshake answers']) {
      for (const row of tableUnder(heading)) expect([row[0], row.every((cell) => cell !== '')]).toEqual([row[0], true]);
    }
  });

  it('has a row for every limit with its variable and default, and for every field', () => {
    const ours = Object.entries(WELCOME_LIMITS).map(([name, variable]) => [
      name,
      variable,
      String(LIMITS_SPEC[variable].default),
    ]);
    expect(tableUnder('Limits').map((row) => row.slice(0, 3))).toEqual(ours);
    expect(firstCells('Fields')).toEqual(['type', ...Object.keys(MESSAGE_FIELDS), 'tenant_id, bot_id']);
  });

  it('shows frames that are as they are', () => {
    const validators: Record<string, string> = {
      message: 'Message',
      welcome: 'Welcome',
      ack: 'Ack',
      nack: 'Nack',
      error: 'Error',
      ping: 'Ping',
      pong: 'Pong',
      goaway: 'Goaway',
      token_expiring: 'TokenExpiring',
      insight: 'Insight',
    };
    const blocks = [...protocolPage.matchAll(/^```(jsonl?)\n(.*?)^```/gms)];
    const shown = blocks.flatMap(([, kind, body = '']) => (kind === 'jsonl' ? body.trim().split('\n') : [body]));
    const frames = shown.map((text) => JSON.parse(text) as { type: string });
    expect(new Set(frames.map(({ type }) => type))).toEqual(new Set(Object.keys(validators)));
    for (const frame of frames) {
      const validate = schemaOf(validators[frame.type] ?? '');
      validate(frame);
      expect([frame, validate.errors ?? []]).toEqual([frame, []]);
    }
  });
});
