import type { Logger } from '../../platform/logger.ts';
import { redisScript } from '../../platform/redis.ts';
import type { Ask, BudgetSource, Lease, RateOf } from './budget.ts';

/**
 * A token bucket a key, by the clock of the Redis server, so that the gateways' clocks do not matter. A bucket that is
 * full again is forgotten.
 */
const LEASE = `
local per_ms, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(state[1]) or burst, tonumber(state[2]) or now
tokens = math.min(burst, tokens + math.max(0, now - at) * per_ms)
local granted = math.max(0, math.min(wanted, math.floor(tokens)))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', string.format('%.3f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - tokens) / per_ms) + 1000)
local wait = 0
if granted < 1 then wait = math.ceil((1 - tokens) / per_ms) end
return {granted, wait}
`;

/** Budgets that gateways on several machines share. */
export class RedisBudget implements BudgetSource {
  readonly #script: ReturnType<typeof redisScript<readonly number[], Lease>>;
  readonly #rateOf: RateOf;
  readonly #prefix: string;

  constructor(url: string, rateOf: RateOf, prefix: string, log: Logger) {
    this.#script = redisScript(url, LEASE, log);
    this.#rateOf = rateOf;
    this.#prefix = prefix;
  }

  async lease(asks: readonly Ask[]): Promise<readonly Lease[]> {
    return await Promise.all(
      asks.map(([name, wanted]) => {
        const { perSecond, burst } = this.#rateOf(name);
        return this.#script.run(this.#prefix + name, perSecond / 1_000, burst, Math.floor(wanted));
      }),
    );
  }

  async close(): Promise<void> {
    await this.#script.close();
  }
}
