import { seededRandom } from '../../services/core/random.ts';
import {
  type EventKind,
  type Fault,
  type FaultChoice,
  faultsOf,
  firstInstances,
  isWorldKind,
  LINKS,
  SCALED,
  type Service,
  WORLD_TOPICS,
} from './faults.ts';

export interface ChaosEvent {
  /** From 1. */
  readonly number: number;
  /** Milliseconds from the start of the injection. */
  readonly at_ms: number;
  readonly kind: EventKind;
  /** `enricher-1`, `kafka`, `controller`, a link as `sink-kafka`; the topic for poison and what other people do. */
  readonly part: string;
  /** How long the part is away, frozen or faulty; 0 for an event without a length of its own (`poison`, `restart`, `add`, `remove`). */
  readonly for_ms: number;
}

export interface PlanOptions extends FaultChoice {
  readonly seed: number;
  readonly events: number;
  /** Mean time from one event to the next; they overlap when faults last longer. */
  readonly gapMs: number;
}

type ScheduledFault = Pick<ChaosEvent, 'kind' | 'part' | 'for_ms'>;

interface Instance {
  readonly service: Service | 'link';
  /** No further event before this. */
  busyUntilMs: number;
  hits: number;
}

/** Enrichers, and sinks, at a time: what two cores still carry. */
export const MAX_INSTANCES = 3;
/** Past the session timeout (6 s), so that the partitions go to another and the frozen one wakes up as a zombie. */
const FREEZE_MS = [7_000, 9_000] as const;
const DOWN_MS = [500, 4_000] as const;
const FAULTY_MS = [3_000, 8_000] as const;
/** What a part gets to come up again, and to drain, before its next event. */
const SETTLE_MS = 3_000;
const RESTART_MS = 5_000;
/** Each growth makes partitions, files and handles that stay. */
export const MAX_GROWTHS = 3;
/** A broker that came back has to catch up with the others before the next one goes: two of three must be in sync. */
const IN_SYNC_MS = 6_000;

/**
 * The fault schedule, a pure function of its options. The planner (Jepsen's generator; the injector is its nemesis) takes
 * the faults in a shuffled order, so that a long run meets every kind; a fault that is not possible at its moment waits for
 * a later one.
 *
 * A killed part comes back, the last enricher or sink is never removed, and one broker is broken at a time.
 */
export function planChaos(options: PlanOptions): ChaosEvent[] {
  const { events, gapMs } = options;
  const planner = new Planner(options);
  const plan: ChaosEvent[] = [];
  let atMs = 0;
  for (let number = 1; number <= events; number++) {
    atMs += Math.round(gapMs * (0.5 + planner.random()));
    plan.push({ number, at_ms: atMs, ...planner.next(atMs) });
  }
  return plan;
}

/** When the last fault is over, in milliseconds from the start. */
export const planEndMs = (plan: readonly ChaosEvent[]): number =>
  plan.reduce((end, { at_ms, for_ms }) => Math.max(end, at_ms + for_ms), 0);

class Planner {
  readonly random: () => number;
  readonly #instances: Map<string, Instance>;
  readonly #lastNumber = new Map<Service, number>(SCALED.map((service) => [service, 2]));
  readonly #allFaults: readonly Fault[];
  readonly #isCluster: boolean;
  #left: Fault[] = [];
  #growths = 0;

  constructor({ seed, brokers, world, kinds }: PlanOptions) {
    this.random = seededRandom(seed);
    this.#allFaults = faultsOf({ brokers, world, kinds });
    this.#isCluster = brokers > 1;
    this.#instances = new Map<string, Instance>([
      ...firstInstances(brokers).map(([name, service]) => [name, { service, busyUntilMs: 0, hits: 0 }] as const),
      ...LINKS.map((name) => [name, { service: 'link' as const, busyUntilMs: 0, hits: 0 }] as const),
    ]);
  }

  next(atMs: number): ScheduledFault {
    for (;;) {
      const index = this.#left.findIndex((fault) => this.#possible(fault, atMs));
      const [found] = index < 0 ? [] : this.#left.splice(index, 1);
      if (found) return this.#schedule(found, atMs);
      // Every list of faults holds poison, which is possible at any time.
      this.#left.push(...this.#shuffled());
    }
  }

  #possible({ kind, on }: Fault, atMs: number): boolean {
    if (on === 'topic') return kind !== 'grow' || this.#growths < MAX_GROWTHS;
    const count = this.#of(on).length;
    if (kind === 'add') return count < MAX_INSTANCES;
    return (kind !== 'remove' || count > 1) && this.#idle(on, atMs).length > 0;
  }

  #schedule({ kind, on }: Fault, atMs: number): ScheduledFault {
    if (on === 'topic') return this.#onTopic(kind);
    if (kind === 'add' && on !== 'link' && on !== 'controller') return this.#added(on, atMs);
    const idle = on === 'link' ? leastHit(this.#idle(on, atMs)) : this.#idle(on, atMs);
    const [drawn, instance] = idle[Math.floor(this.random() * idle.length)] ?? impossible();
    const part = on === 'controller' ? on : drawn;
    if (kind === 'remove') this.#instances.delete(part);
    const forMs = this.#durationOf(kind);
    instance.hits++;
    instance.busyUntilMs = atMs + (kind === 'restart' ? RESTART_MS : forMs + SETTLE_MS);
    if (instance.service === 'kafka' && this.#isCluster) {
      for (const [, broker] of this.#of('kafka')) broker.busyUntilMs = atMs + forMs + IN_SYNC_MS;
    }
    return { kind, part, for_ms: forMs };
  }

  #onTopic(kind: EventKind): ScheduledFault {
    if (!isWorldKind(kind)) return { kind, part: 'chat.events', for_ms: 0 };
    if (kind === 'grow') this.#growths++;
    const topics = WORLD_TOPICS[kind];
    const part = topics[Math.floor(this.random() * topics.length)] ?? impossible();
    return { kind, part, for_ms: kind === 'refuse' ? this.#durationOf(kind) : 0 };
  }

  #added(service: Service, atMs: number): ScheduledFault {
    const next = (this.#lastNumber.get(service) ?? 0) + 1;
    this.#lastNumber.set(service, next);
    this.#instances.set(`${service}-${next}`, { service, busyUntilMs: atMs + RESTART_MS, hits: 0 });
    return { kind: 'add', part: `${service}-${next}`, for_ms: 0 };
  }

  #durationOf(kind: EventKind): number {
    if (kind === 'restart' || kind === 'remove') return 0;
    const [least, most] = kind === 'freeze' || kind === 'silence' ? FREEZE_MS : kind === 'kill' ? DOWN_MS : FAULTY_MS;
    return Math.round(least + (most - least) * this.random());
  }

  #of(on: Fault['on']): [string, Instance][] {
    const wanted = on === 'controller' ? 'kafka' : on;
    return [...this.#instances].filter(([, { service }]) => service === wanted);
  }

  #idle(on: Fault['on'], atMs: number): [string, Instance][] {
    return this.#of(on).filter(([, { busyUntilMs }]) => busyUntilMs <= atMs);
  }

  /** Fisher and Yates. */
  #shuffled(): Fault[] {
    const faults = [...this.#allFaults];
    for (let last = faults.length - 1; last > 0; last--) {
      const other = Math.floor(this.random() * (last + 1));
      [faults[last], faults[other]] = [faults[other] ?? impossible(), faults[last] ?? impossible()];
    }
    return faults;
  }
}

/** The links hit least: there are more links than faults for them, and a long run shall meet each. */
function leastHit(links: [string, Instance][]): [string, Instance][] {
  const fewest = Math.min(...links.map(([, { hits }]) => hits));
  return links.filter(([, { hits }]) => hits === fewest);
}

function impossible(): never {
  throw new Error('an empty list was drawn from');
}
