import { ParleyError } from '../core/errors.ts';
import type { Random } from '../core/random.ts';

/** The 99 % point of the standard normal distribution. */
const Z99 = 2.3263478740408408;

/** exp(Z99² / 2): no log-normal has a p99 further above its mean than this factor. */
const MAX_P99_OVER_MEAN = Math.exp(Z99 ** 2 / 2);

export interface LogNormal {
  readonly mu: number;
  readonly sigma: number;
}

/**
 * The log-normal distribution with the given mean and 99th percentile, in milliseconds.
 *
 * mean = exp(mu + sigma²/2) and p99 = exp(mu + z·sigma), so ln(p99/mean) = z·sigma − sigma²/2, a quadratic with
 * the smaller root sigma = z − sqrt(z² − 2·ln(p99/mean)); then mu = ln(mean) − sigma²/2. (The larger root has the same
 * mean and p99 with half of all values near zero: not what a remote API does.) 200 and 350 ms give sigma 0.2545 and
 * mu 5.2659, hence a median of 193.6 ms.
 *
 * @throws {ParleyError} CONFIG_INVALID unless 1 ≤ p99/mean ≤ 14.97.
 */
export function logNormalOf(meanMs: number, p99Ms: number): LogNormal {
  const ratio = p99Ms / meanMs;
  if (!(ratio >= 1 && ratio <= MAX_P99_OVER_MEAN)) {
    throw new ParleyError(
      'CONFIG_INVALID',
      `NLP_LATENCY_P99_MS is ${p99Ms} at NLP_LATENCY_MEAN_MS ${meanMs}; allowed is 1 to 14.97 times the mean`,
    );
  }
  const sigma = Z99 - Math.sqrt(Math.max(0, Z99 ** 2 - 2 * Math.log(ratio)));
  return { mu: Math.log(meanMs) - sigma ** 2 / 2, sigma };
}

/** A standard normal variate by Box and Muller; 1 − u keeps the logarithm finite. */
export function standardNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Draws how long one call takes, in milliseconds. */
export type LatencySource = () => number;

/** No latency when the mean is 0; a constant one when no p99 is given. */
export function latencySource(meanMs: number, p99Ms: number, random: Random): LatencySource {
  if (meanMs === 0) return () => 0;
  const { mu, sigma } = logNormalOf(meanMs, p99Ms === 0 ? meanMs : p99Ms);
  return () => Math.exp(mu + sigma * standardNormal(random));
}
