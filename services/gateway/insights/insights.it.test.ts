import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { epochMs } from '../../core/brands.ts';
import { outcomePartition } from '../../core/outcome-partition.ts';
import { conversationKey, partitionOf } from '../../core/partitioner.ts';
import type { ChatOutcome, Insight } from '../../core/records.ts';
import { eventually } from '../../core/testing/eventually.ts';
import {
  freePort,
  isolation,
  type ServiceHandle,
  spawnService,
  stack,
  stopServices,
} from '../../local/testing/stack.ts';
import { ChatCodec } from '../../platform/avro/codec.ts';
import { openRegistry } from '../../platform/avro/registry-access.ts';
import { createKafka, type Kafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../../platform/kafka/produce/batch-producer.ts';
import { fetchLogRanges } from '../../platform/kafka/read/log-ranges.ts';
import { topicNames } from '../../platform/kafka/topics.ts';
import { Metrics } from '../../platform/metrics.ts';
import { outcomeHeaders, REPLY_TO_HEADER } from '../../platform/record-headers.ts';
import { testLog } from '../../platform/testing/topic-log.ts';
import { type Frame, RawBot } from '../testing/raw-bot.ts';
import { TokenMaker } from '../testing/tokens.ts';

const { TOPIC_PREFIX } = isolation('insights');
const topics = topicNames(TOPIC_PREFIX);
const PARTITIONS = 4;
const ENRICHED_PARTITIONS = 2;

let maker: TokenMaker;
let kafka: Kafka;
let codec: ChatCodec;
let producer: BatchProducer;
let enricher: ServiceHandle;
let one: ServiceHandle;
let two: ServiceHandle;
const bots: RawBot[] = [];

async function spawnGateway(env: Record<string, string> = {}): Promise<ServiceHandle> {
  const gateway = await spawnService('gateway', {
    TOPIC_PREFIX,
    TOPIC_PARTITIONS: String(PARTITIONS),
    TOPIC_ENRICHED_PARTITIONS: String(ENRICHED_PARTITIONS),
    JWT_PUBLIC_KEY: maker.publicKeyPem,
    BOT_MESSAGES_PER_S: '100000',
    BOT_BURST: '100000',
    MAX_IN_FLIGHT: '10000',
    // No early answers but where a test is about them.
    LATENCY_BUDGET_MS: '60000',
    ...env,
  });
  await gateway.ready();
  return gateway;
}

async function open(gateway: ServiceHandle, who: { tenant?: string; bot: string }, insights = true): Promise<RawBot> {
  const bot = await RawBot.open(`${gateway.url}?insights=${insights}`, await maker.sign(who));
  bots.push(bot);
  return bot;
}

const message = (id: string, conversation_id = `c-${id}`) => ({
  type: 'message',
  id,
  conversation_id,
  speaker: 'user',
  text: 'Where is my parcel? I love your shop.',
  sent_at: Date.now(),
});

const insightsOf = (bot: RawBot): Frame[] => bot.frames.filter(({ type }) => type === 'insight');
const insightIds = (bot: RawBot) => insightsOf(bot).map(({ id }) => id);
const insight = (bot: RawBot, id: string) => bot.frame((it) => it.type === 'insight' && it['id'] === id);
const outcomesInLog = async () => (await fetchLogRanges(kafka, topics.enriched)).reduce((sum, { end }) => sum + end, 0);

/** The sum of a metric over those of its series that have the label, whatever others stand beside it. */
const metricOf = async (service: ServiceHandle, name: string, label = '') => {
  const metrics = await (await fetch(`${service.adminUrl}/metrics`)).text();
  const series = metrics.split('\n').filter((line) => line.startsWith(name) && line.includes(label));
  return series.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
};

beforeAll(async () => {
  maker = await TokenMaker.create();
  kafka = createKafka({ brokers: stack().kafkaBrokers.split(','), clientId: 'insights-test', log: testLog() });
  codec = await ChatCodec.connect({ registry: openRegistry(stack().registryUrl), topicNames: topics });
  producer = await BatchProducer.connect(kafka, { log: testLog(), metrics: new Metrics('insights-test') });
  [one, two] = await Promise.all([spawnGateway(), spawnGateway()]);
  // As slow as an API may be, so that a message can be caught on its way, and answered early.
  const nlp = await spawnService('nlp', { NLP_LATENCY_MEAN_MS: '300' });
  await nlp.ready();
  enricher = await spawnService('enricher', {
    TOPIC_PREFIX,
    TOPIC_PARTITIONS: String(PARTITIONS),
    TOPIC_ENRICHED_PARTITIONS: String(ENRICHED_PARTITIONS),
    NLP_URL: nlp.url,
  });
  await enricher.ready();
}, 90_000);

afterEach(() => {
  for (const bot of bots.splice(0)) bot.end();
});

afterAll(async () => {
  await stopServices();
  await producer.close();
});

/** Puts an outcome into the log as the enricher would, for the message of that bot's session. */
function produce(outcome: ChatOutcome, { frames }: RawBot, value = codec.encodeOutcome(outcome)): Promise<void> {
  const key = conversationKey(outcome.tenant_id, outcome.bot_id, outcome.conversation_id);
  const headers = { ...outcomeHeaders(outcome), [REPLY_TO_HEADER]: String(frames[0]?.['session']) };
  const partition = outcomePartition(partitionOf(key, PARTITIONS), ENRICHED_PARTITIONS);
  return producer.send({ topic: topics.enriched, partition, key, value, headers });
}

describe('an insight', () => {
  it('comes to the socket that sent the message, and to no other', async () => {
    const who = { bot: 'desk' };
    const [sender, sibling, deaf, rival, rivalHere] = await Promise.all([
      open(one, who),
      open(two, who),
      open(one, who, false),
      open(two, { tenant: 'rival', bot: 'desk' }),
      open(one, { tenant: 'rival', bot: 'desk' }),
    ]);
    expect([sender, deaf].map(({ frames }) => frames[0]?.['insights'])).toEqual([true, false]);
    const ids = Array.from({ length: 40 }, (_, i) => `own-${i}`);
    for (const id of ids) sender.send(message(id));
    await Promise.all(ids.map((id) => insight(sender, id)));
    // Those of the others come later through the same logs, so by then a stray one would be there.
    for (const [index, each] of [sibling, rival, rivalHere].entries()) {
      for (const id of ids) each.send(message(`${id}-${index}`, `c-${id}`));
    }
    deaf.send(message('deaf'));
    for (const [index, each] of [sibling, rival, rivalHere].entries()) {
      await eventually(() => expect(insightIds(each).sort()).toEqual(ids.map((id) => `${id}-${index}`).sort()));
    }
    expect(await deaf.answerTo('deaf')).toBe('ack');
    expect(insightIds(sender).sort()).toEqual(ids.sort());
    expect(insightIds(deaf)).toEqual([]);
    const [frame] = insightsOf(sender);
    expect(frame).toEqual({
      type: 'insight',
      id: expect.any(String),
      conversation_id: `c-${frame?.['id']}`,
      outcome: 'enriched',
      provisional: false,
      revision: 0,
      sentiment: { label: 'positive', score: expect.any(Number) },
      intent: { name: expect.any(String), confidence: expect.any(Number) },
      language: { code: 'en', confidence: expect.any(Number) },
      toxicity: { score: expect.any(Number) },
      topics: expect.any(Array),
      model: expect.any(String),
    });
    expect(await metricOf(one, 'parley_gateway_insight_seconds_count', 'provisional="false"')).toBeGreaterThanOrEqual(
      80,
    );
  });
});

describe('an insight that is due before the analysis is there', () => {
  it('comes twice: an early answer of the local model first, then the final one', async () => {
    const hasty = await spawnGateway({ LATENCY_BUDGET_MS: '150' });
    const bot = await open(hasty, { bot: 'hasty' });
    let sent = 0;
    // The first ones are late: the local model is loaded when it is needed.
    const early = await eventually(async () => {
      // Another text each time: what has been analysed before is answered at once.
      const id = `early-${sent++}`;
      bot.send({ ...message(id), text: `Where is parcel ${id}? I love your shop.` });
      await insight(bot, id);
      const found = insightsOf(bot).find(({ provisional }) => provisional);
      if (!found) throw new Error('no early answer yet');
      return found;
    });
    expect(early).toMatchObject({ outcome: 'degraded', revision: 0, sentiment: { label: expect.any(String) } });
    const both = () => insightsOf(bot).filter(({ id }) => id === early['id']);
    await eventually(() => expect(both().map(({ outcome }) => outcome)).toEqual(['degraded', 'enriched']));
    expect(both()[1]).toMatchObject({ provisional: false, revision: 0 });
    expect(await metricOf(hasty, 'parley_gateway_insight_seconds_count', 'provisional="true"')).toBeGreaterThan(0);
    await hasty.kill();
  });
});

describe('a bot that reconnects', () => {
  it('gets on its new connection, to another gateway, what was still to come on the old one', async () => {
    const who = { bot: 'mover' };
    const first = await open(one, who);
    enricher.signal('SIGSTOP');
    first.send(message('on-its-way'));
    expect(await first.answerTo('on-its-way')).toBe('ack');
    first.end();
    const second = await open(two, who);
    enricher.signal('SIGCONT');
    expect(await insight(second, 'on-its-way')).toMatchObject({ conversation_id: 'c-on-its-way' });
  });

  it('gets what came while it had no connection, and gets it once', async () => {
    const who = { bot: 'gap' };
    const [keepsTwoReading, first] = await Promise.all([open(two, { bot: 'other' }), open(one, who)]);
    const before = await outcomesInLog();
    first.send(message('missed'));
    expect(await first.answerTo('missed')).toBe('ack');
    first.end();
    await eventually(async () => expect(await outcomesInLog()).toBe(before + 1));
    // Once this one is back, the gateway has read past the record that was missed.
    keepsTwoReading.send(message('later', 'c-missed'));
    await insight(keepsTwoReading, 'later');
    const second = await open(two, who);
    await insight(second, 'missed');
    second.send(message('own'));
    await insight(second, 'own');
    expect(insightIds(second)).toEqual(['missed', 'own']);
  });

  it('gets it too after its gateway was killed, from one that was not yet reading', async () => {
    const port = String(await freePort());
    const victim = await spawnGateway({ GATEWAY_PORT: port });
    const who = { bot: 'survivor' };
    const first = await open(victim, who);
    const before = await outcomesInLog();
    first.send(message('acked'));
    expect(await first.answerTo('acked')).toBe('ack');
    await victim.kill('SIGKILL');
    await eventually(async () => expect(await outcomesInLog()).toBe(before + 1));
    const next = await spawnGateway({ GATEWAY_PORT: port });
    const second = await open(next, who);
    await insight(second, 'acked');
    second.send(message('own'));
    await insight(second, 'own');
    expect(insightIds(second)).toEqual(['acked', 'own']);
    second.end();
    expect(await next.kill()).toMatchObject({ code: 0 });
  });
});

describe('a bot with two connections', () => {
  const reconnected = async (gateway: ServiceHandle, who: { bot: string }, ...earlier: RawBot[]) => {
    const names = earlier.map(({ frames }) => String(frames[0]?.['session']));
    const url = `${gateway.url}?insights=true&resume=${names.join(',')}`;
    const bot = await RawBot.open(url, await maker.sign(who));
    bots.push(bot);
    return bot;
  };
  /** Those of a message that is sent last come last through the same partition. */
  const barrier = async (bot: RawBot, id: string) => {
    bot.send(message(id, 'c-same'));
    await insight(bot, id);
  };

  it.each(['1', '2'])(
    'hears of a message on the one that sent it and on the one that continues it, once each, and no other does (%s workers)',
    async (workers) => {
      const gateway = await spawnGateway({ GATEWAY_WORKERS: workers });
      const who = { bot: `pair-${workers}` };
      // Several of each, so that workers have them in every combination.
      const pairs = await Promise.all(
        Array.from({ length: 6 }, async () => {
          const first = await reconnected(gateway, who);
          return { first, second: await reconnected(gateway, who, first) };
        }),
      );
      for (const [i, { first }] of pairs.entries()) await barrier(first, `alive-${i}`);
      for (const [i, { second }] of pairs.entries()) await barrier(second, `own-${i}`);
      for (const [i, { first, second }] of pairs.entries()) {
        expect([insightIds(first), insightIds(second)]).toEqual([[`alive-${i}`], [`alive-${i}`, `own-${i}`]]);
      }
      const strangers = await Promise.all(
        pairs.flatMap(({ first }) => [reconnected(gateway, { bot: 'stranger' }, first), reconnected(gateway, who)]),
      );
      enricher.signal('SIGSTOP');
      for (const [i, { first }] of pairs.entries()) {
        first.send(message(`left-${i}`, 'c-same'));
        expect(await first.answerTo(`left-${i}`)).toBe('ack');
        first.end();
      }
      await eventually(async () => expect(await metricOf(gateway, 'parley_gateway_insight_sockets')).toBe(18));
      enricher.signal('SIGCONT');
      for (const [i, { second }] of pairs.entries()) await insight(second, `left-${i}`);
      for (const [i, { second }] of pairs.entries()) await barrier(second, `later-${i}`);
      for (const [i, { second }] of pairs.entries()) {
        expect(insightIds(second)).toEqual([`alive-${i}`, `own-${i}`, `left-${i}`, `later-${i}`]);
      }
      for (const [i, each] of strangers.entries()) {
        await barrier(each, `stranger-${i}`);
        expect(insightIds(each)).toEqual([`stranger-${i}`]);
      }
      await gateway.kill();
    },
    60_000,
  );

  it.each([true, false])('hears of it on the second where the first is half-open (named: %s)', async (isNamed) => {
    const who = { bot: `half-open-${isNamed}` };
    const first = await open(one, who);
    enricher.signal('SIGSTOP');
    first.send(message('in-doubt'));
    expect(await first.answerTo('in-doubt')).toBe('ack');
    // It answers no ping from here on.
    first.socket.pause();
    const second = isNamed ? await reconnected(one, who, first) : await open(one, who);
    enricher.signal('SIGCONT');
    await insight(second, 'in-doubt');
    first.socket.resume();
  });

  it('hears of it over a chain of reconnects, to another gateway, and an old client hears as it did', async () => {
    const who = { bot: 'chain' };
    enricher.signal('SIGSTOP');
    const first = await reconnected(one, who);
    first.send(message('chained'));
    expect(await first.answerTo('chained')).toBe('ack');
    first.end();
    const second = await reconnected(two, who, first);
    second.end();
    const third = await reconnected(two, who, second, first);
    const old = await open(one, { bot: 'old' });
    old.send(message('old'));
    expect(await old.answerTo('old')).toBe('ack');
    old.end();
    const [oldAgain, modern] = [await open(two, { bot: 'old' }), await reconnected(two, { bot: 'old' })];
    enricher.signal('SIGCONT');
    await insight(third, 'chained');
    await insight(oldAgain, 'old');
    await barrier(modern, 'modern');
    expect([insightIds(third), insightIds(oldAgain), insightIds(modern)]).toEqual([['chained'], ['old'], ['modern']]);
  });
});

describe('a socket that does not read', () => {
  it('loses insights, counted, and keeps its place and its acks', async () => {
    // Insights stop at a quarter of it, and the bot's own frames at half: room for 300 acks of 0.6 KiB in between.
    const gateway = await spawnGateway({ MAX_SEND_BUFFER_BYTES: String(1 << 20) });
    const bot = await open(gateway, { bot: 'slow' });
    bot.socket.pause();
    const outcome = outcomeOf({ tenant_id: 'acme', bot_id: 'slow', conversation_id: 'c', insight: wordy });
    const metric = (result: string) => metricOf(gateway, 'parley_gateway_insights_total', `result="${result}"`);
    let produced = 0;
    // The system's own buffers take a few megabytes first.
    await eventually(async () => {
      const batch = Array.from({ length: 100 }, () => `s${produced++}`);
      await Promise.all(batch.map((message_id) => produce({ ...outcome, message_id }, bot)));
      expect(await metric('dropped')).toBeGreaterThan(0);
    });
    const sent = Array.from({ length: 300 }, (_, i) => message(`acked-${i}`));
    for (const each of sent) bot.send(each);
    await eventually(async () =>
      expect((await metric('dropped')) + (await metric('sent'))).toBe(produced + sent.length),
    );
    const dropped = await metric('dropped');
    expect(await metricOf(gateway, 'parley_gateway_insight_recent_bytes')).toBeLessThanOrEqual(8 << 20);
    bot.socket.resume();
    await eventually(() => expect(new Set(bot.ackedIds).size).toBe(sent.length));
    await eventually(() => expect(insightsOf(bot)).toHaveLength(produced + sent.length - dropped));
    bot.send(message('awake'));
    await insight(bot, 'awake');
    expect(await metricOf(gateway, 'parley_gateway_closes_total')).toBe(0);
    await gateway.kill();
  });
});

describe('records of chat.enriched', () => {
  it('are insights only under the right tenant; a provisional one says so; an undecodable one is counted', async () => {
    const bot = await open(one, { bot: 'target' });
    const mine = { tenant_id: 'acme', bot_id: 'target', conversation_id: 'c' };
    await produce(outcomeOf({ ...mine, tenant_id: 'rival', message_id: 'forged' }), bot);
    await produce(outcomeOf({ ...mine, bot_id: 'another', message_id: 'mislabelled' }), bot);
    await produce(outcomeOf({ ...mine, message_id: 'undecodable' }), bot, Buffer.from([0, 0, 0, 0, 1, 99]));
    await produce(outcomeOf({ ...mine, message_id: 'early', provisional: true }), bot);
    await produce(outcomeOf({ ...mine, message_id: 'dead', outcome: 'dead_lettered', reason: 'nlp_rejected' }), bot);
    await produce(outcomeOf({ ...mine, message_id: 'last' }), bot);
    await insight(bot, 'last');
    expect(insightIds(bot)).toEqual(['early', 'dead', 'last']);
    expect(insightsOf(bot)[0]).toMatchObject({ provisional: true });
    expect(insightsOf(bot)[1]).toEqual({
      type: 'insight',
      id: 'dead',
      conversation_id: 'c',
      outcome: 'dead_lettered',
      provisional: false,
      revision: 0,
      reason: 'nlp_rejected',
    });
    // Its schema may have to be fetched, and no test waits for that.
    await eventually(async () =>
      expect(await metricOf(one, 'parley_gateway_insights_total', 'result="undecodable"')).toBe(1),
    );
  });
});

const wordy: Insight = {
  language: 'en',
  language_confidence: 1,
  sentiment_label: 'neutral',
  sentiment_score: 0,
  intent: 'none',
  intent_confidence: 0,
  toxicity_score: 0,
  topics: Array.from({ length: 200 }, (_, i) => `a topic with a long name, number ${i}`),
  model: 'test',
};

/** An outcome as the enricher writes them, with every field chosen by the test. */
function outcomeOf(overrides: Partial<ChatOutcome>): ChatOutcome {
  const now = epochMs(Date.now());
  const source = { topic_id: 'AAAAAAAAAAAAAAAAAAAAAA', topic: 'chat.events', partition: 0, offset: 0 };
  return {
    source,
    origin: source,
    last_offset: null,
    outcome: 'enriched',
    provisional: false,
    reason: null,
    revision: 0,
    supersedes: null,
    message_id: 'm',
    tenant_id: '',
    bot_id: '',
    conversation_id: '',
    speaker: 'user',
    text: 'Hi!',
    sent_at: now,
    sent_at_original: null,
    received_at: now,
    enriched_at: now,
    recheck: false,
    user_id: null,
    channel: null,
    bot_version: null,
    metadata: new Map(),
    nlp_ms: 1,
    attempts: 1,
    cache_hit: false,
    insight: null,
    ...overrides,
  } as ChatOutcome;
}
