import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../core/clock.ts';
import type { NackCode } from '../../core/wire-codes.ts';
import type { Credentials } from '../handshake/auth.ts';
import { type Intake, overloadedText } from '../intake/intake.ts';
import type { ValidMessage } from '../intake/valid-message.ts';
import { botNameOf } from '../limits/connection-places.ts';
import type { RateLimits } from '../limits/rate-limits.ts';
import type { Bucket, Buckets } from '../limits/token-bucket.ts';
import type { GatewayMetrics } from '../metrics.ts';
import { type FrameRules, validateMessage } from '../session/frame-validator.ts';
import { HttpProblem } from './http-problem.ts';
import { type BatchItem, readBatch } from './message-batch.ts';
import { readBody } from './request-body.ts';

export interface PostMessagesDeps {
  readonly rules: FrameRules;
  readonly intake: Intake;
  readonly rates: Pick<RateLimits, 'announced'>;
  readonly bots: Buckets;
  readonly tenants: Buckets;
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly random: () => number;
}

/** What became of one message of a request. */
export interface PostResult {
  readonly id: string | null;
  readonly conversation_id: string | null;
  readonly status: 'acked' | 'nacked';
  /** Another content is stored under this id already. */
  readonly differs?: true;
  readonly code?: NackCode;
  readonly message?: string;
  readonly retry_after_ms?: number;
}

const MAX_BODY_BYTES = 1 << 20;
/** Bodies in memory at once: 64 of 1 MiB, each about five times that while it is parsed. */
const MAX_REQUESTS = 64;
/** How many of these one bot may have. */
const MAX_REQUESTS_OF_A_BOT = 8;
const RETRY_MS = 1_000;

/**
 * `POST /v1/messages`: the checks, buckets, intake and durability of the socket for those who cannot hold one. Answers when
 * Kafka has the messages, each with a result of its own. After a temporary refusal the later messages of that
 * conversation are refused, too, so that its order holds when the refused ones are sent again.
 */
export class MessagePosts {
  readonly #deps: PostMessagesDeps;
  readonly #byBot = new Map<string, number>();
  #active = 0;
  #onIdle: (() => void) | undefined;

  constructor(deps: PostMessagesDeps) {
    this.#deps = deps;
  }

  /** Resolves when no request is being answered any more. */
  async idle(): Promise<void> {
    if (this.#active > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
  }

  /** @throws {HttpProblem} */
  async take(request: IncomingMessage, credentials: Credentials): Promise<readonly PostResult[]> {
    const bot = botNameOf(credentials);
    const ofBot = this.#byBot.get(bot) ?? 0;
    if (this.#active >= MAX_REQUESTS || ofBot >= MAX_REQUESTS_OF_A_BOT) {
      throw new HttpProblem('overloaded', 'too many requests are being answered', this.#jitter(RETRY_MS));
    }
    this.#active += 1;
    this.#byBot.set(bot, ofBot + 1);
    try {
      return await this.#answer(request, credentials, bot);
    } finally {
      this.#active -= 1;
      const left = (this.#byBot.get(bot) ?? 1) - 1;
      if (left > 0) this.#byBot.set(bot, left);
      else this.#byBot.delete(bot);
      if (this.#active === 0) this.#onIdle?.();
    }
  }

  async #answer(request: IncomingMessage, credentials: Credentials, botName: string): Promise<readonly PostResult[]> {
    const { bots, tenants, rules } = this.#deps;
    const bot = bots.hold(botName);
    const tenant = tenants.hold(credentials.tenant);
    try {
      this.#refuseAboveRate(credentials, bot, tenant);
      const body = await readBody(request, MAX_BODY_BYTES);
      // As over the socket, what is large is paid for before it is parsed.
      const price = Math.ceil((body.length || 1) / rules.limits.max_frame_bytes);
      bot.take(price);
      tenant.take(price);
      const batch = readBatch(body, request.headers['content-type']);
      return await this.#send(batch, credentials, [bot, tenant], price);
    } finally {
      bots.release(botName);
      tenants.release(credentials.tenant);
    }
  }

  /** @param paid messages that the body has been charged for already. */
  async #send(
    batch: readonly BatchItem[],
    credentials: Credentials,
    [bot, tenant]: readonly [Bucket, Bucket],
    paid: number,
  ): Promise<readonly PostResult[]> {
    /** Conversations of which a message was refused for now. */
    const behind = new Set<string>();
    const answers = batch.map(({ frame, written }, index): PostResult | Promise<PostResult> => {
      const check = validateMessage({ type: 'message', ...frame }, written, this.#deps.rules, credentials);
      if (check.kind === 'refused') {
        this.#deps.metrics.message(check.code);
        const { id = null, conversationId = null, code, message } = check;
        return { id, conversation_id: conversationId, status: 'nacked', code, message };
      }
      for (const repair of check.repairs) this.#deps.metrics.repaired.inc({ repair });
      const { message } = check;
      if (behind.has(message.conversationId)) {
        return this.#nack(message, 'overloaded', 'an earlier message of this conversation was refused', behind);
      }
      if (index >= paid) {
        const nowMs = this.#deps.clock.monotonicMs();
        if (bot.available(nowMs) < 1 || tenant.available(nowMs) < 1) {
          return this.#nack(message, 'rate_limited', 'the bot, or its tenant, sends more than its rate', behind);
        }
        bot.take();
        tenant.take();
      }
      return this.#accept(message, credentials, behind);
    });
    return await Promise.all(answers);
  }

  #accept(message: ValidMessage, credentials: Credentials, behind: Set<string>): PostResult | Promise<PostResult> {
    const { intake, clock, metrics } = this.#deps;
    const names = { id: message.id, conversation_id: message.conversationId };
    const settled = Promise.withResolvers<PostResult>();
    const startedMs = clock.monotonicMs();
    const acceptance = intake.accept(credentials, message, clock.now(), {
      acked: () => {
        const joined = acceptance.kind === 'joined';
        metrics.message(joined ? 'joined' : 'acked');
        metrics.ackSeconds.observe((clock.monotonicMs() - startedMs) / 1_000);
        settled.resolve({ ...names, status: 'acked', ...(joined && acceptance.differs && { differs: true }) });
        return true;
      },
      unavailable: () => {
        const told = 'Kafka did not answer in time; send it again with a higher attempt';
        settled.resolve(this.#nack(message, 'unavailable', told, behind));
      },
      refused: (_, { code, message: why }) => {
        metrics.message(code);
        settled.resolve({ ...names, status: 'nacked', code, message: why });
      },
    });
    switch (acceptance.kind) {
      case 'waiting':
      case 'joined':
        return settled.promise;
      case 'known':
        metrics.message('duplicate');
        return { ...names, status: 'acked', ...(acceptance.differs && { differs: true }) };
      case 'overloaded':
        return this.#nack(message, 'overloaded', overloadedText(acceptance), behind);
      case 'unavailable':
        return this.#nack(message, 'unavailable', 'Kafka does not answer', behind);
    }
  }

  #nack(
    { id, conversationId }: ValidMessage,
    code: 'rate_limited' | 'overloaded' | 'unavailable',
    message: string,
    behind: Set<string>,
  ): PostResult {
    this.#deps.metrics.message(code);
    behind.add(conversationId);
    const retryAfterMs = this.#jitter(RETRY_MS);
    return { id, conversation_id: conversationId, status: 'nacked', code, message, retry_after_ms: retryAfterMs };
  }

  #refuseAboveRate(credentials: Credentials, bot: Bucket, tenant: Bucket): void {
    const { clock, rates } = this.#deps;
    const nowMs = clock.monotonicMs();
    const { bot_messages_per_s: botRate, tenant_messages_per_s: tenantRate } = rates.announced(credentials);
    if (bot.available(nowMs) < 1) {
      throw new HttpProblem('rate_limited', `this bot sends more than ${botRate} messages a second`, bot.refuse());
    }
    if (tenant.available(nowMs) < 1) {
      const message = `this tenant's bots send more than ${tenantRate} messages a second`;
      throw new HttpProblem('rate_limited', message, tenant.refuse());
    }
  }

  #jitter(ms: number): number {
    return Math.ceil(ms * (0.5 + this.#deps.random()));
  }
}
