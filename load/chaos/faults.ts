/** What can be broken. */
export type Service = 'gateway' | 'enricher' | 'sink' | 'nlp' | 'clickhouse' | 'registry' | 'kafka';

export type EventKind = PartEventKind | WorldEventKind;

/** What happens to the parts of the system and the network between them, and poison. */
type PartEventKind =
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

/** What other people do to the cluster. */
export type WorldEventKind = 'grow' | 'delete_records' | 'foreign' | 'refuse';

/** A kind of event and what it may hit; `controller` is the broker that leads the quorum at that moment. */
export interface Fault {
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

const fault = (kind: EventKind, on: Fault['on']): Fault => ({ kind, on });

const FAULTS: readonly Fault[] = [
  ...STATEFUL.flatMap((service) => [fault('kill', service), fault('freeze', service), fault('restart', service)]),
  fault('kill', 'registry'),
  ...SCALED.flatMap((service) => [fault('add', service), fault('remove', service)]),
  fault('nlp_errors', 'nlp'),
  fault('nlp_hangs', 'nlp'),
  fault('nlp_slow', 'nlp'),
  fault('poison', 'topic'),
  fault('poison', 'topic'),
  fault('cut', 'link'),
  fault('delay', 'link'),
  fault('silence', 'link'),
];

/** By what each of them may hit, by plain names. */
export const WORLD_TOPICS: Readonly<Record<WorldEventKind, readonly string[]>> = {
  grow: ['chat.events', 'chat.enriched', 'chat.replay', 'chat.dlq'],
  delete_records: ['chat.events'],
  foreign: ['chat.events'],
  refuse: ['chat.events', 'chat.enriched', 'chat.dlq'],
};
const WORLD_KINDS = Object.keys(WORLD_TOPICS) as WorldEventKind[];
const WORLD_FAULTS: readonly Fault[] = WORLD_KINDS.map((kind) => fault(kind, 'topic'));

export const isWorldKind = (kind: EventKind): kind is WorldEventKind => kind in WORLD_TOPICS;

/** Every kind that there is. */
export const EVENT_KINDS: readonly EventKind[] = [...new Set([...FAULTS, ...WORLD_FAULTS].map(({ kind }) => kind))];

export interface FaultChoice {
  /** 1 or 3. */
  readonly brokers: number;
  /** Also what other people do to the cluster. */
  readonly world?: boolean | undefined;
  /** These kinds alone, and poison. */
  readonly kinds?: readonly EventKind[] | undefined;
}

/** The faults that a schedule is made of; on a cluster also a kill of the quorum's leader, and more kills of brokers. */
export function faultsOf({ brokers, world = false, kinds }: FaultChoice): readonly Fault[] {
  const cluster = [fault('kill', 'controller'), fault('kill', 'kafka'), fault('kill', 'kafka')];
  const parts = brokers === 1 ? FAULTS : [...FAULTS, ...cluster];
  if (!kinds) return world ? [...parts, ...WORLD_FAULTS] : parts;
  return [...parts, ...WORLD_FAULTS].filter(({ kind }) => kind === 'poison' || kinds.includes(kind));
}

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
