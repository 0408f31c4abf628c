/** What can be broken; `controller` is whichever broker leads the quorum at that moment. */
export type Service = 'gateway' | 'enricher' | 'sink' | 'nlp' | 'clickhouse' | 'registry' | 'kafka';

export type EventKind =
  | 'kill'
  | 'freeze'
  | 'restart'
  | 'add'
  | 'remove'
  | 'nlp_errors'
  | 'nlp_hangs'
  | 'nlp_slow'
  | 'poison'
  | 'cut'
  | 'delay'
  | 'silence';

/** A kind of event and what it may hit. */
export interface Card {
  readonly kind: EventKind;
  readonly on: Service | 'controller' | 'link' | 'topic';
}

/** The network between the services and what they talk to; each can fail by itself. */
export const LINKS = [
  'gateway-kafka',
  'enricher-kafka',
  'sink-kafka',
  'services-registry',
  'enricher-nlp',
  'sink-clickhouse',
] as const;
export type LinkName = (typeof LINKS)[number];

export const SCALED: readonly Service[] = ['enricher', 'sink'];
const STATEFUL: readonly Service[] = ['gateway', 'enricher', 'sink', 'nlp', 'clickhouse', 'kafka'];

const card = (kind: EventKind, on: Card['on']): Card => ({ kind, on });

const DECK: readonly Card[] = [
  ...STATEFUL.flatMap((service) => [card('kill', service), card('freeze', service), card('restart', service)]),
  card('kill', 'registry'),
  ...SCALED.flatMap((service) => [card('add', service), card('remove', service)]),
  card('nlp_errors', 'nlp'),
  card('nlp_hangs', 'nlp'),
  card('nlp_slow', 'nlp'),
  card('poison', 'topic'),
  card('poison', 'topic'),
  card('cut', 'link'),
  card('delay', 'link'),
  card('silence', 'link'),
];

/** A deck of a cluster also kills the quorum's leader, and brokers more often. */
export const deckOf = (brokers: number): readonly Card[] =>
  brokers === 1 ? DECK : [...DECK, card('kill', 'controller'), card('kill', 'kafka'), card('kill', 'kafka')];

/** Instances at the start, by service. */
export function firstInstances(brokers: number): readonly (readonly [name: string, service: Service])[] {
  return [
    ['gateway-1', 'gateway'],
    ['enricher-1', 'enricher'],
    ['enricher-2', 'enricher'],
    ['sink-1', 'sink'],
    ['sink-2', 'sink'],
    ['nlp', 'nlp'],
    ['clickhouse', 'clickhouse'],
    ['registry', 'registry'],
    ...brokerNames(brokers).map((name) => [name, 'kafka'] as const),
  ];
}

const brokerNames = (brokers: number): readonly string[] =>
  brokers === 1 ? ['kafka'] : Array.from({ length: brokers }, (_, index) => `kafka-${index + 1}`);
