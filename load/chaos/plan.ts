import { seededRandom } from '../../services/core/demo/conversations.ts';

export type Service = 'gateway' | 'enricher' | 'sink' | 'nlp' | 'clickhouse' | 'kafka';

export type EventKind =
  | 'kill'
  | 'freeze'
  | 'restart'
  | 'add'
  | 'remove'
  | 'nlp_errors'
  | 'nlp_hangs'
  | 'nlp_slow'
  | 'poison';

export interface ChaosEvent {
  /** From 1. */
  readonly number: number;
  /** Milliseconds from the start of the injection. */
  readonly at_ms: number;
  readonly kind: EventKind;
  /** `enricher-1`, `kafka`, …; the topic for poison. */
  readonly part: string;
  /** How long the part is away, frozen or faulty; 0 for what is over at once or takes as long as it takes. */
  readonly for_ms: number;
}

export interface PlanOptions {
  readonly seed: number;
  readonly events: number;
  /** Mean time from one event to the next; they overlap when faults last longer. */
  readonly gapMs: number;
}

interface Card {
  readonly kind: EventKind;
  readonly service: Service | 'topic';
}

interface Instance {
  readonly service: Service;
  /** No further event before this. */
  busyUntilMs: number;
}

/** Instances at the start, by service. */
export const FIRST_INSTANCES: readonly (readonly [name: string, service: Service])[] = [
  ['gateway-1', 'gateway'],
  ['enricher-1', 'enricher'],
  ['enricher-2', 'enricher'],
  ['sink-1', 'sink'],
  ['sink-2', 'sink'],
  ['nlp', 'nlp'],
  ['clickhouse', 'clickhouse'],
  ['kafka', 'kafka'],
];

/** Enrichers, and sinks, at a time: what two cores still carry. */
export const MAX_INSTANCES = 3;
/** Past the session timeout (6 s), so that the partitions go to another and the frozen one wakes up as a zombie. */
const FREEZE_MS = [7_000, 9_000] as const;
const DOWN_MS = [500, 4_000] as const;
const FAULTY_MS = [3_000, 8_000] as const;
/** What a part gets to come up again, and to drain, before its next event. */
const SETTLE_MS = 3_000;
const RESTART_MS = 5_000;

const SCALED: readonly Service[] = ['enricher', 'sink'];
const ALL: readonly Service[] = ['gateway', 'enricher', 'sink', 'nlp', 'clickhouse', 'kafka'];
const card = (kind: EventKind, service: Card['service']): Card => ({ kind, service });

const DECK: readonly Card[] = [
  ...ALL.flatMap((service) => [card('kill', service), card('freeze', service), card('restart', service)]),
  ...SCALED.flatMap((service) => [card('add', service), card('remove', service)]),
  card('nlp_errors', 'nlp'),
  card('nlp_hangs', 'nlp'),
  card('nlp_slow', 'nlp'),
  card('poison', 'topic'),
  card('poison', 'topic'),
];

/**
 * What breaks when. A pure function of its options. Cards are dealt from a shuffled deck, so that a long run meets
 * every kind; a card that cannot be played at its moment waits for a later one.
 *
 * Whatever is killed comes back, and the last enricher or sink is never removed.
 */
export function planChaos({ seed, events, gapMs }: PlanOptions): ChaosEvent[] {
  const table = new Table(seededRandom(seed));
  const plan: ChaosEvent[] = [];
  let atMs = 0;
  for (let number = 1; number <= events; number++) {
    atMs += Math.round(gapMs * (0.5 + table.random()));
    plan.push({ number, at_ms: atMs, ...table.play(atMs) });
  }
  return plan;
}

/** When the last fault is over, in milliseconds from the start. */
export const planEndMs = (plan: readonly ChaosEvent[]): number =>
  plan.reduce((end, { at_ms, for_ms }) => Math.max(end, at_ms + for_ms), 0);

class Table {
  readonly random: () => number;
  readonly #instances = new Map<string, Instance>(
    FIRST_INSTANCES.map(([name, service]) => [name, { service, busyUntilMs: 0 }]),
  );
  readonly #lastNumber = new Map<Service, number>(SCALED.map((service) => [service, 2]));
  #deck: Card[] = [];

  constructor(random: () => number) {
    this.random = random;
  }

  play(atMs: number): Pick<ChaosEvent, 'kind' | 'part' | 'for_ms'> {
    for (;;) {
      const index = this.#deck.findIndex((card) => this.#playable(card, atMs));
      const [found] = index < 0 ? [] : this.#deck.splice(index, 1);
      if (found) return this.#played(found, atMs);
      // A fresh deck holds poison, which can be played at any time.
      this.#deck.push(...this.#shuffled());
    }
  }

  #playable({ kind, service }: Card, atMs: number): boolean {
    if (service === 'topic') return true;
    const count = this.#of(service).length;
    if (kind === 'add') return count < MAX_INSTANCES;
    return (kind !== 'remove' || count > 1) && this.#idle(service, atMs).length > 0;
  }

  #played({ kind, service }: Card, atMs: number): Pick<ChaosEvent, 'kind' | 'part' | 'for_ms'> {
    if (service === 'topic') return { kind, part: 'chat.events', for_ms: 0 };
    if (kind === 'add') {
      const next = (this.#lastNumber.get(service) ?? 0) + 1;
      this.#lastNumber.set(service, next);
      this.#instances.set(`${service}-${next}`, { service, busyUntilMs: atMs + RESTART_MS });
      return { kind, part: `${service}-${next}`, for_ms: 0 };
    }
    const idle = this.#idle(service, atMs);
    const [part, instance] = idle[Math.floor(this.random() * idle.length)] ?? impossible();
    if (kind === 'remove') this.#instances.delete(part);
    const forMs = this.#durationOf(kind);
    instance.busyUntilMs = atMs + (kind === 'restart' ? RESTART_MS : forMs + SETTLE_MS);
    return { kind, part, for_ms: forMs };
  }

  #durationOf(kind: EventKind): number {
    if (kind === 'restart' || kind === 'remove') return 0;
    const [least, most] = kind === 'freeze' ? FREEZE_MS : kind === 'kill' ? DOWN_MS : FAULTY_MS;
    return Math.round(least + (most - least) * this.random());
  }

  #of(service: Service): [string, Instance][] {
    return [...this.#instances].filter(([, instance]) => instance.service === service);
  }

  #idle(service: Service, atMs: number): [string, Instance][] {
    return this.#of(service).filter(([, { busyUntilMs }]) => busyUntilMs <= atMs);
  }

  /** Fisher and Yates. */
  #shuffled(): Card[] {
    const cards = [...DECK];
    for (let last = cards.length - 1; last > 0; last--) {
      const other = Math.floor(this.random() * (last + 1));
      [cards[last], cards[other]] = [cards[other] ?? impossible(), cards[last] ?? impossible()];
    }
    return cards;
  }
}

function impossible(): never {
  throw new Error('an empty list was drawn from');
}
