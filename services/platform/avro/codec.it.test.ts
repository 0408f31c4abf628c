import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeAll, describe, expect, it } from '@jest/globals';
import avro from 'avsc';
import type { ChatOutcome } from '../../core/records.ts';
import { isolation, stack } from '../../local/testing/stack.ts';
import { topicNames } from '../kafka/topics.ts';
import { sampleEvent } from '../testing/sample-event.ts';
import { ChatCodec } from './codec.ts';
import { openRegistry } from './registry-access.ts';
import { RegistryClient, RegistryUnavailableError } from './registry-client.ts';
import { EVENT_SCHEMA, OUTCOME_SCHEMA } from './schema-files.ts';

const names = topicNames(isolation('codec').TOPIC_PREFIX);
const subject = `${names.events}-value`;
let registryUrl: string;
let codec: ChatCodec;

type Field = { name: string; default?: unknown };
const schemaWith = (change: (fields: Field[]) => Field[], json = EVENT_SCHEMA.json) => {
  const schema = JSON.parse(json) as { fields: Field[] };
  const changed = { ...schema, fields: change(schema.fields) };
  return { json: JSON.stringify(changed), type: avro.Type.forSchema(changed as never) };
};

/** The same event as a later or earlier version of Parley would write it. */
const encodeWith = (type: avro.Type, id: number, value: object): Buffer => {
  const header = Buffer.alloc(5);
  header.writeInt32BE(id, 1);
  return Buffer.concat([header, type.toBuffer(value)]);
};

/** Before the registry of the stack: it lets through what it is not told to refuse. */
async function registryFront() {
  let refusal = { status: 503, times: 0 };
  let requests = 0;
  const server = createServer(async (request, response) => {
    requests += 1;
    if (refusal.times-- > 0) {
      response.writeHead(refusal.status).end();
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const answer = await fetch(`${registryUrl}${request.url}`, {
      method: request.method ?? 'GET',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
    });
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    refuse: (next: { status: number; times: number }) => {
      refusal = { ...next };
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A codec whose registry can be made to refuse, and events of a later version, with one more field, that it has not met yet. */
async function fragileCodec(field: string) {
  const front = await registryFront();
  const fragile = await ChatCodec.connect({ registry: openRegistry(front.url), topicNames: names });
  const version = schemaWith((fields) => [...fields, { name: field, type: 'int', default: 0 } as Field]);
  const id = await new RegistryClient(openRegistry(registryUrl)).idOf(subject, version);
  const bytesOf = (schemaId: number) =>
    encodeWith(version.type, schemaId, { ...sampleEvent(), metadata: {}, [field]: 1 });
  return { front, fragile, id, bytesOf };
}

beforeAll(async () => {
  registryUrl = stack().registryUrl;
  codec = await ChatCodec.connect({ registry: openRegistry(registryUrl), topicNames: names });
});

describe('ChatCodec', () => {
  it('gives back what it encoded, metadata as a map', async () => {
    const event = sampleEvent({ metadata: new Map([['locale', 'de']]), user_id: 'u', text: '¿Qué tal? 你好 🙂' });
    expect(await codec.decodeEvent(codec.encodeEvent(event))).toEqual({ ok: true, value: event });
  });

  it('sets FULL_TRANSITIVE on both subjects, also when several services start at once', async () => {
    const others = topicNames(isolation('codec_many').TOPIC_PREFIX);
    await Promise.all(
      Array.from({ length: 4 }, () => ChatCodec.connect({ registry: openRegistry(registryUrl), topicNames: others })),
    );
    for (const topic of [others.events, others.enriched]) {
      const response = await fetch(`${registryUrl}/config/${topic}-value`);
      expect(await response.json()).toMatchObject({ compatibilityLevel: 'FULL_TRANSITIVE' });
    }
  });

  it('refuses a change that old readers or new readers could not take', async () => {
    const registry = new RegistryClient(openRegistry(registryUrl));
    const dropped = schemaWith((fields) => fields.filter(({ name }) => name !== 'text'));
    const added = schemaWith((fields) => [...fields, { name: 'mandatory', type: 'string' } as Field]);
    const retyped = schemaWith((fields) =>
      fields.map((field) => (field.name === 'sent_at' ? { ...field, type: 'string' } : field)),
    );
    for (const bad of [dropped, added, retyped]) {
      await expect(registry.idOf(subject, bad)).rejects.toMatchObject({ code: 'SCHEMA_INCOMPATIBLE' });
    }
  });

  it('reads newer and older versions, once the registry has told of them', async () => {
    const registry = new RegistryClient(openRegistry(registryUrl));
    const newer = schemaWith((fields) => [
      ...fields,
      { name: 'mood', type: ['null', 'string'], default: null } as Field,
    ]);
    const older = schemaWith((fields) => fields.filter(({ name }) => name !== 'bot_version' && name !== 'resent'));
    const raw = { ...sampleEvent({ bot_version: null }), metadata: {}, mood: 'fine' };
    for (const version of [newer, older]) {
      const id = await registry.idOf(subject, version);
      const decoded = await codec.decodeEvent(encodeWith(version.type, id, raw));
      expect(decoded).toMatchObject({ ok: true, value: { message_id: 'm1', resent: false, bot_version: null } });
      // Synchronous from now on.
      expect(codec.decodeEvent(encodeWith(version.type, id, raw))).toMatchObject({ ok: true });
    }
  });

  it('tells poison by its kind, and remembers that the registry does not know an id', async () => {
    const unknown = Buffer.concat([Buffer.from([0, 0x6f, 1, 2, 3]), Buffer.from('body')]);
    expect(await codec.decodeEvent(unknown)).toMatchObject({ ok: false, reason: 'schema_unknown' });
    // The refusal is remembered: no promise, so no request.
    expect(codec.decodeEvent(unknown)).toMatchObject({ ok: false, reason: 'schema_unknown' });
    expect(codec.decodeEvent(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]))).toMatchObject({
      ok: false,
      reason: 'schema_unknown',
    });
    for (const bytes of [null, Buffer.alloc(0), Buffer.from('{}'), codec.encodeEvent(sampleEvent()).subarray(0, 30)]) {
      expect(codec.decodeEvent(bytes)).toMatchObject({ ok: false, reason: 'undecodable' });
    }
    const trailing = Buffer.concat([codec.encodeEvent(sampleEvent()), Buffer.from([1])]);
    expect(codec.decodeEvent(trailing)).toMatchObject({ ok: false, reason: 'undecodable' });
    // An outcome's schema is known to the registry, and cannot be read as an event.
    const outcome = { source: { topic_id: 't', topic: 't', partition: 0, offset: 0 } } as unknown as ChatOutcome;
    const asOutcome = codec.encodeOutcome({
      ...(sampleEvent() as unknown as ChatOutcome),
      ...outcome,
      origin: outcome.source,
      outcome: 'gap',
      enriched_at: 1,
      revision: 0,
      last_offset: null,
      reason: null,
      provisional: false,
      recheck: false,
      nlp_ms: 0,
      attempts: 0,
      cache_hit: false,
      insight: null,
    });
    expect(await codec.decodeEvent(asOutcome)).toMatchObject({ ok: false, reason: 'schema_unknown' });
    expect(OUTCOME_SCHEMA.type.fromBuffer(asOutcome.subarray(5))).toMatchObject({ outcome: 'gap' });
  });

  it('rejects while the registry is away: an outage is not poison', async () => {
    const { front, fragile, bytesOf, id } = await fragileCodec('late');
    const bytes = bytesOf(id);
    front.refuse({ status: 503, times: Number.POSITIVE_INFINITY });
    await expect(fragile.decodeEvent(bytes)).rejects.toThrow(RegistryUnavailableError);
    await expect(fragile.check(AbortSignal.timeout(1_000))).rejects.toThrow();
    front.refuse({ status: 503, times: 0 });
    expect(await fragile.decodeEvent(bytes)).toMatchObject({ ok: true });
    front.close();
  });

  it('believes that an id is unknown once a registry that may still be starting has said so three times', async () => {
    const { front, fragile, bytesOf, id } = await fragileCodec('early');
    front.refuse({ status: 404, times: 2 });
    expect(await fragile.decodeEvent(bytesOf(id))).toMatchObject({ ok: true });
    const unknown = (n: number) => fragile.decodeEvent(bytesOf(2 ** 30 + n));
    expect(await unknown(0)).toMatchObject({ ok: false, reason: 'schema_unknown' });
    // Three more in a flood of them, which makes five within the minute; the others are asked for once.
    const before = front.requests();
    await Promise.all([1, 2, 3, 4, 5, 6].map(unknown));
    expect(front.requests() - before).toBe(3 * 3 + 3);
    front.close();
  });
});
