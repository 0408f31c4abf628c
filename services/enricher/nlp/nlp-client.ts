import { Pool } from 'undici';
import { messageOf } from '../../core/errors.ts';
import type { Insight } from '../../core/records.ts';
import { errorOfStatus, NlpError } from './nlp-errors.ts';
import { toInsight } from './nlp-response.ts';

export interface NlpClientOptions {
  readonly url: string;
  /** About what is to be in flight: undici's default has no limit, and 2,000 calls opened 4,000 sockets. */
  readonly connections: number;
  /** Of one attempt, waiting for a connection included. */
  readonly timeoutMs: number;
}

/** A response of this size is no analysis. */
const MAX_RESPONSE_BYTES = 1 << 20;
/** Below the keep-alive of any usual server (Node 5 s, nginx 75 s, AWS ALB 60 s), so that we close first. */
const KEEP_ALIVE_MS = 4_000;

/** One call of the NLP API: `POST /v1/analyze`. */
export class NlpClient {
  readonly #pool: Pool;
  readonly #path: string;

  constructor({ url, connections, timeoutMs }: NlpClientOptions) {
    const { origin, pathname } = new URL(url);
    this.#path = `${pathname.replace(/\/$/, '')}/v1/analyze`;
    this.#pool = new Pool(origin, {
      connections,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connect: { timeout: Math.min(timeoutMs, 2_000) },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxResponseSize: MAX_RESPONSE_BYTES,
    });
  }

  /** @throws {NlpError} */
  async analyze(id: string, text: string, signal: AbortSignal): Promise<Insight> {
    const { status, retryAfter, body } = await this.#post(JSON.stringify({ id, text }), signal);
    if (status !== 200) throw errorOfStatus(status, retryAfter, Date.now());
    const insight = toInsight(body, id);
    if (!insight)
      throw new NlpError('failed', 'garbage', 'the NLP API answered 200 with something that is no analysis');
    return insight;
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  async #post(
    body: string,
    signal: AbortSignal,
  ): Promise<{ status: number; retryAfter: string | undefined; body: string }> {
    try {
      const response = await this.#pool.request({
        method: 'POST',
        path: this.#path,
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body,
        signal,
      });
      // Read to its end whatever the status: an unread body holds the connection.
      const text = await response.body.text();
      const retryAfter = response.headers['retry-after'];
      return { status: response.statusCode, retryAfter: retryAfter?.toString(), body: text };
    } catch (error) {
      const timedOut = signal.aborted || /timeout/i.test(String((error as { code?: string }).code));
      throw new NlpError('failed', timedOut ? 'timeout' : 'connection', messageOf(error), { cause: error });
    }
  }
}
