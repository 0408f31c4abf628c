import { BlockList } from 'node:net';
import { availableParallelism } from 'node:os';
import { type ConfigOf, int, number, oneOf, optional, redisUrl, text, type Variable } from '../core/config.ts';
import { JWT_SPEC, KAFKA_SPEC, REGISTRY_SPEC } from '../platform/settings.ts';
import { parseBlocks, SOURCE_HEADERS } from './handshake/trusted-proxies.ts';

/**
 * Sizes and rates of frames. `welcome.limits` carries every one of these, each under the name
 * of {@link WELCOME_LIMITS}, and each is enforced.
 */
export const LIMITS_SPEC = {
  MAX_FRAME_BYTES: int({
    default: 65_536,
    min: 1_024,
    max: 900_000,
    doc: 'Frame that costs one message; a larger one costs more',
  }),
  MAX_TEXT_CHARS: int({ default: 8_192, min: 1, max: 65_536, doc: 'Longest text; characters are Unicode code points' }),
  // Record headers carry the message id URI-encoded (up to 12 bytes a character) and have to stay below 4 KiB.
  MAX_ID_CHARS: int({
    default: 128,
    min: 8,
    max: 256,
    doc: 'Longest id, user_id, channel, bot_version',
  }),
  MAX_METADATA_ENTRIES: int({ default: 32, min: 0, max: 256, doc: 'Most keys in metadata' }),
  MAX_METADATA_KEY_CHARS: int({ default: 64, min: 1, max: 256, doc: 'Longest key in metadata' }),
  MAX_METADATA_VALUE_CHARS: int({
    default: 1_024,
    min: 1,
    max: 8_192,
    doc: 'Longest value in metadata',
  }),
  MAX_IN_FLIGHT: int({ default: 256, min: 1, max: 65_536, doc: 'Messages of one socket that may wait for their ack' }),
  BOT_MESSAGES_PER_S: int({ default: 200, min: 1, max: 1_000_000, doc: 'Messages a second of one bot' }),
  BOT_BURST: int({ default: 400, min: 1, max: 1_000_000, doc: 'Messages that a bot may send at once after a pause' }),
  TENANT_MESSAGES_PER_S: int({ default: 20_000, min: 1, max: 10_000_000, doc: 'Messages a second of one tenant' }),
  PING_INTERVAL_MS: int({ default: 25_000, min: 100, max: 600_000, doc: 'Time between pings; no pong until the next' }),
};

export const WELCOME_LIMITS = {
  max_frame_bytes: 'MAX_FRAME_BYTES',
  max_text_chars: 'MAX_TEXT_CHARS',
  max_id_chars: 'MAX_ID_CHARS',
  max_metadata_entries: 'MAX_METADATA_ENTRIES',
  max_metadata_key_chars: 'MAX_METADATA_KEY_CHARS',
  max_metadata_value_chars: 'MAX_METADATA_VALUE_CHARS',
  max_in_flight: 'MAX_IN_FLIGHT',
  bot_messages_per_s: 'BOT_MESSAGES_PER_S',
  bot_burst: 'BOT_BURST',
  tenant_messages_per_s: 'TENANT_MESSAGES_PER_S',
  ping_interval_ms: 'PING_INTERVAL_MS',
} as const satisfies Record<string, keyof typeof LIMITS_SPEC>;

export type Limits = { readonly [K in keyof typeof WELCOME_LIMITS]: number };

/** A character as ASCII-only encoders write it: a surrogate pair of \\uXXXX. */
const ESCAPED_CHAR_BYTES = 12;
/** Whatever the limits are: Kafka takes no record above 1 MB by default. */
const HARD_FRAME_BYTES = 1 << 20;
/** The names of the fields, quotes, and what else stands in a frame. */
const FRAME_OVERHEAD_BYTES = 4_096;

/**
 * The largest frame that is read at all: whatever keeps each announced limit fits in, also where every character is
 * escaped. By default (8,192 + 32 × (64 + 1,024) + 7 × 128) × 12 + 4,096 bytes, 518 KiB; a larger one closes 1009.
 */
export const hardFrameLimit = (limits: Limits): number =>
  Math.max(
    limits.max_frame_bytes,
    Math.min(
      HARD_FRAME_BYTES,
      (limits.max_text_chars +
        limits.max_metadata_entries * (limits.max_metadata_key_chars + limits.max_metadata_value_chars) +
        7 * limits.max_id_chars) *
        ESCAPED_CHAR_BYTES +
        FRAME_OVERHEAD_BYTES,
    ),
  );

/** The limits by their names on the wire. */
export const limitsOf = (config: ConfigOf<typeof LIMITS_SPEC>): Limits =>
  Object.fromEntries(Object.entries(WELCOME_LIMITS).map(([name, variable]) => [name, config[variable]])) as Limits;

/**
 * Bounds that keep the gateway healthy against any client; not announced. Counts of connections, bytes and entries are for
 * all workers together: each gets its part.
 */
const PROTECTION_SPEC = {
  MAX_CONNECTIONS: optional(
    int({ min: 1, max: 10_000_000, doc: 'Open sockets in all; never more than the open-file limit allows' }),
  ),
  MAX_TENANT_CONNECTIONS: optional(
    int({ min: 1, max: 10_000_000, doc: 'Open sockets of one tenant; by default three quarters of all, 100 at least' }),
  ),
  MAX_BOT_CONNECTIONS: optional(
    int({ min: 1, max: 10_000_000, doc: 'Open sockets of one bot; by default a twentieth of all, 100 at least' }),
  ),
  FAILED_HANDSHAKES_PER_S: int({
    default: 10,
    min: 1,
    max: 1_000_000,
    doc: 'Failed handshakes a second of one address (IPv6: /64), ten times as many at once; above it 429 unasked',
  }),
  CONNECTIONS_PER_S: int({ default: 4_000, min: 1, max: 1_000_000, doc: 'Handshakes a second; above it 429' }),
  HANDSHAKE_TIMEOUT_MS: int({ default: 10_000, min: 100, max: 600_000, doc: 'Longest time without a session' }),
  TOKEN_WARNING_MS: int({
    default: 60_000,
    min: 0,
    max: 86_400_000,
    doc: 'Warning before a token expires; 0 for none',
  }),
  MAX_PENDING_BYTES: int({ default: 64 << 20, min: 1_024, max: 2 ** 33, doc: 'Bytes that may wait for Kafka' }),
  MAX_SEND_BUFFER_BYTES: int({ default: 1 << 20, min: 1_024, max: 1 << 30, doc: 'Unsent bytes of a slow reader' }),
  MAX_UNSENT_BYTES: int({
    default: 64 << 20,
    min: 65_536,
    max: 2 ** 33,
    doc: 'Unsent bytes of all sockets; above it the slowest readers are closed 4101',
  }),
  TENANT_MEMORY_SHARE: number({
    default: 0.75,
    min: 0.01,
    max: 1,
    doc: 'Part of MAX_UNSENT_BYTES, and of MAX_PENDING_BYTES, that one tenant may hold',
  }),
  BOT_MEMORY_SHARE: number({ default: 0.25, min: 0.01, max: 1, doc: 'The same of one bot' }),
  MAX_RECEIVING_BYTES: int({
    default: 64 << 20,
    min: 1 << 20,
    max: 2 ** 33,
    doc: 'Bytes of frames that are not whole yet, of all sockets; above it the largest is closed 4103',
  }),
  MAX_REFUSED_IN_A_ROW: int({
    default: 1_000,
    min: 10,
    max: 1_000_000,
    doc: 'Refused frames without one that was taken; then 4104, and a pause of 1 s after each tenth of it',
  }),
  MAX_MALFORMED_PER_MINUTE: int({ default: 20, min: 0, max: 100_000, doc: 'Frames a minute that are no message' }),
  KAFKA_ACK_TIMEOUT_MS: int({ default: 10_000, min: 100, max: 600_000, doc: 'Then a message is nacked unavailable' }),
  DEDUP_MAX_ENTRIES: int({ default: 131_072, min: 1, max: 1 << 24, doc: 'Acked messages that are remembered' }),
  DEDUP_MAX_BYTES: int({ default: 48 << 20, min: 1_024, max: 2 ** 32, doc: 'Bytes that remembering may take' }),
  DEDUP_WINDOW_MS: int({ default: 120_000, min: 1, max: 86_400_000, doc: 'How long they are remembered' }),
  DRAIN_DELAY_MS: int({
    default: 0,
    min: 0,
    max: 60_000,
    doc: 'From SIGTERM, not ready any more, to the drain: as long as load balancers take to notice',
  }),
  DRAIN_TIMEOUT_MS: int({ default: 15_000, min: 100, max: 120_000, doc: 'Longest drain after that' }),
  DRAIN_HANDOVER_MS: int({
    default: 2_000,
    min: 0,
    max: 60_000,
    doc: 'After goaway a session has so long to open its next one and leave; a quarter of DRAIN_TIMEOUT_MS at most',
  }),
  RECONNECT_SPREAD_MS: int({
    default: 5_000,
    min: 0,
    max: 600_000,
    doc: 'A drain says goaway to one session after another within this; half of DRAIN_TIMEOUT_MS at most',
  }),
};

const isOrigin = (value: string) => URL.canParse(value) && new URL(value).origin === value;

const origins: Variable<readonly string[]> = {
  default: ['*'],
  doc: 'Origins of browsers that may connect',
  allowed: '* for any, or a comma-separated list of origins such as https://chat.example.com',
  secret: false,
  read: (value) => {
    const items = value.split(',').map((item) => item.trim());
    return items.every((item) => item === '*' || isOrigin(item)) ? items : undefined;
  },
};

const proxies: Variable<BlockList> = {
  default: new BlockList(),
  doc: 'Reverse proxies that are believed when they say whom they speak for',
  allowed: 'a comma-separated list of addresses and CIDR blocks such as 10.0.0.0/8',
  secret: false,
  read: (value) => parseBlocks(value.split(',').map((item) => item.trim())),
};

/**
 * One for two cores, at most 4: the broker and the other services need cores too, and each worker sends smaller batches to
 * Kafka. On two cores a message cost 112 µs of CPU with one worker, 178 with two, 257 with four (docs/performance.md). More
 * are needed for the open-file limit alone: four serve 50,000 bots at 20,000 files a process.
 */
const DEFAULT_WORKERS = Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));

export const GATEWAY_SPEC = {
  ...KAFKA_SPEC,
  ...REGISTRY_SPEC,
  ...JWT_SPEC,
  ...LIMITS_SPEC,
  ...PROTECTION_SPEC,
  GATEWAY_HOST: text({ default: '127.0.0.1', doc: 'Address to listen on' }),
  GATEWAY_WORKERS: int({
    default: DEFAULT_WORKERS,
    min: 1,
    max: 64,
    doc: 'Processes that share the port; 1 is a single process without a supervisor',
  }),
  REDIS_URL: optional(redisUrl({ doc: 'Redis through which gateways on several machines share tenants’ budgets' })),
  LIMIT_PEERS: int({
    default: 1,
    min: 1,
    max: 1_000,
    doc: 'Gateways that share it: a budget’s divisor while it is away',
  }),
  GATEWAY_PORT: int({ default: 8_080, min: 0, max: 65_535, doc: 'Port of the WebSocket; 0 takes any free one' }),
  ALLOWED_ORIGINS: origins,
  TRUSTED_PROXIES: proxies,
  SOURCE_HEADER: oneOf(SOURCE_HEADERS, {
    default: 'x-forwarded-for',
    doc: 'The header that TRUSTED_PROXIES append to; the other one is not looked at, since anybody can send it',
  }),
  PROXY_PROTOCOL: oneOf(['off', 'on'], {
    default: 'off',
    doc: 'Whether connections begin with a header of the PROXY protocol, of TRUSTED_PROXIES alone',
  }),
  GATEWAY_TLS_CERT: optional(text({ doc: 'PEM file of the certificate and its chain; read again when it changes' })),
  GATEWAY_TLS_KEY: optional(text({ doc: 'PEM file of the certificate’s key' })),
  JWT_BOT_CLAIM: text({ default: 'sub', doc: 'Claim with the bot; a path with dots goes into objects' }),
  JWT_TENANT_CLAIM: text({ default: 'tenant', doc: 'Claim with the tenant' }),
  JWT_ROLES_CLAIM: text({ default: 'roles', doc: 'Claim with the roles: a list, or text with spaces (scope)' }),
  JWT_CONVERSATION_CLAIM: optional(
    text({ doc: 'Claim that binds a token to one conversation, where the token has it' }),
  ),
  JWT_USER_CLAIM: optional(text({ doc: 'Claim that binds a token to one user_id' })),
  JWT_SPEAKER_CLAIM: optional(text({ doc: 'Claim that binds a token to one speaker' })),
  JWT_LEEWAY_S: int({ default: 5, min: 0, max: 300, doc: 'Clock difference allowed when a token is checked' }),
  MAX_TOKEN_LIFE_S: optional(
    int({ min: 60, max: 10 * 365 * 86_400, doc: 'Tokens that live longer, from iat or else from now, are refused' }),
  ),
  LIMITS_FILE: optional(
    text({ doc: 'JSON file of tenants and bots with rates of their own; read again when it changes' }),
  ),
  DENY_REDIS_KEY: optional(
    text({ doc: 'Key in Redis (REDIS_URL) with the same JSON as DENY_FILE; looked at every second' }),
  ),
  DENY_FILE: optional(
    text({ doc: 'JSON file of tokens, bots and tenants that may not connect; read again when it changes' }),
  ),
  JWKS_MAX_AGE_MS: int({
    default: 300_000,
    min: 1_000,
    max: 86_400_000,
    doc: 'Then the key set is asked for again: how long a withdrawn key still works',
  }),
  JWKS_COOLDOWN_MS: int({ default: 10_000, min: 100, max: 600_000, doc: 'Time between two requests for the key set' }),
  TEXT_TOO_LONG: oneOf(['refuse', 'truncate'], {
    default: 'refuse',
    doc: 'truncate keeps the first MAX_TEXT_CHARS of a longer text and marks it in metadata as text_truncated',
  }),
  SENT_AT_BACK_MS: int({
    default: 86_400_000,
    min: 0,
    max: 10 * 365 * 86_400_000,
    doc: 'How old a sent_at may be; an older one is moved to this edge, but for the role importer',
  }),
  SENT_AT_AHEAD_MS: int({ default: 300_000, min: 0, max: 86_400_000, doc: 'How far a sent_at may lie ahead' }),
  LATENCY_BUDGET_MS: int({ default: 400, min: 1, max: 600_000, doc: 'Time until an insight should be out' }),
  PRODUCE_LINGER_MS: int({ default: 4, min: 0, max: 1_000, doc: 'How long the first record of a batch waits' }),
  PRODUCE_MAX_LINGER_MS: int({ default: 15, min: 0, max: 1_000, doc: 'The same under load, for larger batches' }),
  PRODUCE_LANES: int({ default: 1, min: 1, max: 64, doc: 'Kafka producers side by side' }),
};

export type GatewayConfig = ConfigOf<typeof GATEWAY_SPEC>;
