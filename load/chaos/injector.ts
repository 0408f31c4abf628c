import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../services/core/clock.ts';
import { messageOf } from '../../services/core/errors.ts';
import { eventually } from '../../services/core/testing/eventually.ts';
import type { ClusterHand } from './cluster-hand.ts';
import type { EnricherLog } from './enricher-log.ts';
import type { WorldEventKind } from './faults.ts';
import type { ForeignProducer } from './foreign-producer.ts';
import type { EnricherFreeze, EnricherKill } from './kill-account.ts';
import type { NlpApi } from './nlp-api.ts';
import type { ChaosEvent } from './planner.ts';
import type { Poison } from './poison.ts';
import type { Recovery } from './recovery.ts';
import { seconds } from './schedule-text.ts';
import type { ChaosSystem } from './system.ts';

export interface EventResult extends ChaosEvent {
  /** When it began, milliseconds from the start of the injection. */
  readonly began_ms: number;
  /** From the fault's end until messages sent after it had their rows; null when that was not seen. */
  recovery_ms: number | null;
  /** Why it could not be carried out. */
  failure: string | null;
}

export interface InjectorDeps {
  readonly system: ChaosSystem;
  readonly nlp: NlpApi;
  readonly enricherLog: EnricherLog;
  readonly poison: Poison;
  readonly cluster: ClusterHand;
  readonly foreign: ForeignProducer;
  readonly recovery: Recovery;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

const NLP_ADMIN_MS = 30_000;
/**
 * Faults that may be under way, or not recovered from, at a time. On a machine so busy that a start takes longer than the
 * gap between events the schedule waits; else the run would do nothing but start parts.
 */
const MAX_OPEN = 8;
const OPEN_POLL_MS = 100;

/** Carries out a schedule. Events of different parts overlap; those of one part wait for each other. */
export class Injector {
  readonly results: EventResult[] = [];
  /** Kills of enrichers, for the account of repeated calls. */
  readonly kills: EnricherKill[] = [];
  readonly freezes: EnricherFreeze[] = [];
  /** Start of the injection, milliseconds since the epoch. */
  startedAtMs = 0;
  readonly #deps: InjectorDeps;
  readonly #lastOf = new Map<string, Promise<void>>();
  #underWay = 0;

  constructor(deps: InjectorDeps) {
    this.#deps = deps;
  }

  /**
   * Ends when every fault is over and every part that should be there is ready.
   *
   * @param endMs events that have not begun by then are left out, those that come later too.
   */
  async run(plan: readonly ChaosEvent[], endMs: number): Promise<void> {
    const { clock, recovery, signal, progress } = this.#deps;
    const started = clock.monotonicMs();
    this.startedAtMs = clock.now();
    for (const event of plan) {
      await sleep(Math.max(0, started + event.at_ms - clock.monotonicMs()), undefined, { signal });
      while (this.#underWay + recovery.open >= MAX_OPEN) await this.#wait(OPEN_POLL_MS);
      if (clock.monotonicMs() - started > endMs) break;
      this.#underWay++;
      const part = turnOf(event.part);
      const before = this.#lastOf.get(part) ?? Promise.resolve();
      this.#lastOf.set(
        part,
        before
          .then(() => this.#carryOut(event, started))
          .finally(() => {
            this.#underWay--;
          }),
      );
    }
    progress('No further faults; waiting for every part to be ready.');
    await Promise.all(this.#lastOf.values());
  }

  async #carryOut(event: ChaosEvent, started: number): Promise<void> {
    const { clock, recovery, progress } = this.#deps;
    const began = clock.monotonicMs() - started;
    const result: EventResult = { ...event, began_ms: Math.round(began), recovery_ms: null, failure: null };
    this.results.push(result);
    const name = `#${event.number} ${event.kind} ${event.part}`;
    progress(`${seconds(began)}  ${name}${event.for_ms > 0 ? ` for ${seconds(event.for_ms)}` : ''}`);
    const over = () =>
      recovery.watch((tookMs) => {
        result.recovery_ms = Math.round(tookMs);
        progress(`${seconds(clock.monotonicMs() - started)}  ${name}: recovered in ${seconds(tookMs)}`);
      });
    try {
      await this.#break(event, over);
    } catch (error) {
      if (this.#deps.signal.aborted) return;
      result.failure = messageOf(error);
      progress(`${name} failed: ${result.failure}`);
    }
  }

  /** @param over to be called once the fault has ended. */
  async #break(event: ChaosEvent, over: () => void): Promise<void> {
    const { kind, part: name, for_ms } = event;
    const { system, nlp, poison } = this.#deps;
    switch (kind) {
      case 'kill':
      case 'restart':
        return await this.#down(event, over);
      case 'freeze': {
        const part = await system.part(name);
        const [life, fromMs] = [system.lifeOf(name), this.#deps.clock.now()];
        part.freeze();
        await this.#wait(for_ms).finally(() => part.thaw());
        if (name.startsWith('enricher-')) this.freezes.push({ life, fromMs, toMs: this.#deps.clock.now() });
        over();
        return await part.ready();
      }
      case 'add': {
        const part = await system.add(name);
        await part.start();
        over();
        return await part.ready();
      }
      case 'remove':
        await (await system.part(name)).stop();
        return over();
      case 'poison':
        poison.add();
        return over();
      case 'grow':
      case 'delete_records':
      case 'foreign':
      case 'refuse':
        await this.#world(kind, name, for_ms);
        return over();
      case 'nlp_errors':
      case 'nlp_hangs':
      case 'nlp_slow':
        await eventually(() => nlp.inject(kind), { timeoutMs: NLP_ADMIN_MS });
        await this.#wait(for_ms);
        await eventually(() => nlp.heal(), { timeoutMs: NLP_ADMIN_MS });
        return over();
      case 'cut':
      case 'delay':
      case 'silence':
        system.links.break(name, kind);
        await this.#wait(for_ms).finally(() => system.links.mend(name));
        return over();
    }
  }

  async #world(kind: WorldEventKind, topic: string, forMs: number): Promise<void> {
    const { cluster, foreign } = this.#deps;
    if (kind === 'grow') await cluster.grow(topic);
    else if (kind === 'delete_records') await cluster.deleteCommitted();
    else if (kind === 'foreign') await foreign.send();
    else {
      await cluster.refuse(topic);
      await this.#wait(forMs).finally(() => cluster.accept(topic));
    }
  }

  async #down({ number, kind, part: name, for_ms }: ChaosEvent, over: () => void): Promise<void> {
    const { system, enricherLog, clock } = this.#deps;
    const part = await system.part(name);
    const life = system.lifeOf(name);
    await (kind === 'kill' ? part.kill() : part.stop());
    const atMs = clock.now();
    const committed = kind === 'kill' && name.startsWith('enricher-') ? enricherLog.committed() : undefined;
    await this.#wait(for_ms);
    await part.start();
    over();
    if (committed) this.kills.push({ event: number, life, atMs, committed: await committed });
    await part.ready();
  }

  #wait(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#deps.signal });
  }
}

/** Brokers take turns among themselves, whichever of them leads: two of three must stay. */
const turnOf = (part: string): string => (part === 'controller' || part.startsWith('kafka-') ? 'kafka' : part);
