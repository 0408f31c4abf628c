import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../platform/logger.ts';
import { redisScript } from '../../platform/redis.ts';
import { DenyList } from './deny-list.ts';

/** Some ten thousand entries: the server digests the text once a second for each process. */
const MAX_BYTES = 1 << 20;

/** The text where its digest is another than the one that is given; the size alone where it is too large. */
const READ = `
local text = redis.call('GET', KEYS[1])
if not text then return {'none'} end
if #text > ${MAX_BYTES} then return {'large', tostring(#text)} end
local digest = redis.sha1hex(text)
if digest == ARGV[1] then return {'same'} end
return {'text', digest, text}
`;

type Answer = readonly ['none' | 'same'] | readonly ['large', string] | readonly ['text', string, string];

export interface RedisDenyListOptions {
  readonly url: string;
  readonly key: string;
  readonly log: Logger;
  /** A look gave nothing new for a reason that an operator should know; called for each look. */
  readonly onFailure: (why: 'away' | 'unusable') => void;
}

/** How long a start waits for Redis: a deny list must not depend on it. */
const FIRST_LOOK_MS = 2_000;
const RETRY_MS = 50;

/**
 * A deny list that several gateways read from one key in Redis: the same JSON as in `DENY_FILE`. While Redis is away, and
 * when what is there cannot be used or is gone, what was read last still counts.
 */
export class RedisDenyList {
  readonly #options: RedisDenyListOptions;
  readonly #script: ReturnType<typeof redisScript<readonly [string], Answer>>;
  #value = DenyList.empty;
  #digest = '';
  #problem = '';
  #underWay: Promise<boolean> | undefined;

  constructor(options: RedisDenyListOptions) {
    this.#options = options;
    this.#script = redisScript(options.url, READ, options.log);
  }

  get value(): DenyList {
    return this.#value;
  }

  /** Looks whether the list has changed. Never rejects. @returns whether Redis answered */
  refresh(): Promise<boolean> {
    this.#underWay ??= this.#look().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  /** Resolves with the first look that Redis answers, or without one after two seconds. */
  async ready(): Promise<void> {
    const untilMs = performance.now() + FIRST_LOOK_MS;
    while (!(await this.refresh()) && performance.now() < untilMs) await delay(RETRY_MS);
  }

  async close(): Promise<void> {
    await this.#script.close();
  }

  async #look(): Promise<boolean> {
    const { key, onFailure } = this.#options;
    let answer: Answer;
    try {
      answer = await this.#script.run(key, this.#digest);
    } catch (error) {
      onFailure('away');
      this.#complain(`Redis does not answer: ${messageOf(error)}`);
      return false;
    }
    try {
      this.#use(answer);
      this.#problem = '';
    } catch (error) {
      onFailure('unusable');
      this.#complain(messageOf(error));
    }
    return true;
  }

  #use(answer: Answer): void {
    if (answer[0] === 'large') throw new Error(`it has ${answer[1]} bytes; allowed are ${MAX_BYTES}`);
    // Without a list so far there is nothing to deny; a list that is gone was lost with Redis' memory.
    if (answer[0] === 'none' && this.#digest !== '') throw new Error('the key is gone; an empty list is {}');
    if (answer[0] !== 'text') return;
    const [, digest, text] = answer;
    this.#value = new DenyList(text);
    this.#digest = digest;
    this.#options.log.info({ key: this.#options.key, entries: this.#value.size }, 'the deny list was read from Redis');
  }

  #complain(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    const { key, log } = this.#options;
    log.warn({ key, problem }, 'the deny list in Redis cannot be used now; what was read before still counts');
  }
}
