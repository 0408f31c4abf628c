import type { BotIdentity } from '../../core/bot-identity.ts';
import type { ServiceContext } from '../../platform/lifecycle.ts';
import type { Metrics } from '../../platform/metrics.ts';
import type { GatewayConfig } from '../config.ts';
import { WatchedFiles } from '../network/watched-files.ts';
import type { Rate } from './budget.ts';
import { identityOf } from './connection-places.ts';
import { RateOverrides } from './rate-overrides.ts';

const LOOK_MS = 1_000;
/** The text of a full list with names of common length. */
const MAX_FILE_BYTES = 16 << 20;

type Settings = Pick<GatewayConfig, 'BOT_MESSAGES_PER_S' | 'BOT_BURST' | 'TENANT_MESSAGES_PER_S' | 'LIMITS_FILE'>;

/** What refills at these rates, and takes over new ones. */
interface Refreshable {
  refresh(): void;
}

/** The rates of bots and tenants: those of all by variables, those of some by a file that is looked at every second. */
export class RateLimits {
  readonly #settings: Settings;
  readonly #file: WatchedFiles<RateOverrides> | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #users: Refreshable[] = [];

  /** @throws {ParleyError} CONFIG_INVALID where the file is not there or cannot be used. */
  constructor(settings: Settings, { log, metrics }: Pick<ServiceContext, 'log'> & { readonly metrics?: Metrics }) {
    this.#settings = settings;
    const { LIMITS_FILE: path } = settings;
    if (path === undefined) return;
    const problems = metrics?.counter(
      'parley_gateway_limits_file_problems_total',
      'Changes of LIMITS_FILE that could not be used; what was read before still counts',
    );
    const file = new WatchedFiles({
      variable: 'LIMITS_FILE',
      paths: [path],
      maxBytes: MAX_FILE_BYTES,
      parse: ([text = '']) => new RateOverrides(text),
      onProblem: (problem) => {
        problems?.inc();
        log.warn({ path, problem }, 'LIMITS_FILE cannot be used as it is now; what was read before still counts');
      },
      onLoaded: ({ size }) => log.info({ path, entries: size }, 'LIMITS_FILE was read again'),
    });
    metrics?.gauge('parley_gateway_limits_file_entries', 'Tenants and bots with rates of their own', [], (gauge) =>
      gauge.set(file.value.size),
    );
    this.#file = file;
    this.#timer = setInterval(() => void this.#look(file), LOOK_MS).unref();
  }

  async #look(file: WatchedFiles<RateOverrides>): Promise<void> {
    const before = file.value;
    await file.refresh();
    if (file.value !== before) for (const user of this.#users) user.refresh();
  }

  /** @returns the user, which is refreshed when a rate may have changed. */
  keepFresh<T extends Refreshable>(user: T): T {
    this.#users.push(user);
    return user;
  }

  /** @param name as `botNameOf` makes it */
  readonly ofBot = (name: string): Rate => this.#ofBot(identityOf(name));

  readonly ofTenant = (tenant: string): Rate => {
    const { TENANT_MESSAGES_PER_S: perSecond } = this.#settings;
    return this.#file?.value.ofTenant(tenant) ?? { perSecond, burst: perSecond };
  };

  /** The rates of one bot as `welcome` names them. */
  announced(bot: BotIdentity): { bot_messages_per_s: number; bot_burst: number; tenant_messages_per_s: number } {
    const { perSecond, burst } = this.#ofBot(bot);
    const { perSecond: tenantRate } = this.ofTenant(bot.tenant);
    return { bot_messages_per_s: perSecond, bot_burst: burst, tenant_messages_per_s: tenantRate };
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #ofBot(bot: BotIdentity): Rate {
    const { BOT_MESSAGES_PER_S: perSecond, BOT_BURST: burst } = this.#settings;
    return this.#file?.value.ofBot(bot) ?? { perSecond, burst };
  }
}
