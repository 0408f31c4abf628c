import { open } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { BotIdentity } from '../../core/bot-identity.ts';
import type { DurationMs } from '../../core/brands.ts';
import { durationMs } from '../../core/brands.ts';
import { messageOf, ParleyError } from '../../core/errors.ts';
import { botIdentities } from '../../operator/bots.ts';
import { localKeyPath, tokenSigner } from '../../operator/local-token.ts';
import { durationOption, integerOption } from '../../operator/option-readers.ts';
import { readSettings } from '../../operator/settings.ts';
import { type CommandDeps, type CommandResult, newCommand, withAction } from '../command.ts';

const ROLES = ['bot', 'importer', 'analyst', 'sre', 'admin'];
const HOUR_MS = 3_600_000;
/** Signed side by side: enough to keep the thread pool busy, few enough to keep in memory. */
const BATCH = 1_000;

interface TokenOptions {
  readonly tenant: string;
  readonly bot: string;
  readonly role?: readonly string[];
  readonly ttl: DurationMs;
  readonly key?: string;
  readonly bots?: number;
  readonly tenants: number;
  readonly out?: string;
}

type Sign = (identity: BotIdentity) => Promise<string>;

const roleOption = (value: string, earlier: readonly string[] | undefined): string[] => {
  if (!ROLES.includes(value)) throw new InvalidArgumentError(`Allowed are ${ROLES.join(', ')}.`);
  return [...(earlier ?? []), value];
};

export const tokenCommand = (deps: CommandDeps): Command =>
  withAction<TokenOptions>(
    newCommand('token', "A token signed with the embedded stack's own key, or many of them.")
      .option('--tenant <id>', 'tenant', 'demo')
      .option('--bot <id>', 'bot (the subject)', 'demo-bot')
      .option('--role <role>', `role out of ${ROLES.join(', ')}; may be repeated (default: bot)`, roleOption)
      .option('--ttl <duration>', 'how long it is valid', durationOption, durationMs(HOUR_MS))
      .option('--key <file>', 'private key in PEM (default: the embedded stack’s)')
      .option('--bots <n>', 'as many tokens, for bot-1 to bot-n', integerOption(1, 10_000_000))
      .option('--tenants <n>', 'with --bots: spread over tenant-1 to tenant-n', integerOption(1, 1_000_000), 1)
      .option('--out <file>', 'with --bots: write them there, one a line, readable by you alone'),
    deps,
    async (options, { env }) => {
      const keyPath = options.key ?? localKeyPath(readSettings(env).PARLEY_DATA_DIR);
      const signer = await tokenSigner(keyPath);
      const sign: Sign = (identity) => signer({ ...identity, roles: options.role ?? ['bot'], ttlMs: options.ttl });
      return options.bots === undefined ? await one(sign, options) : await many(sign, options, options.bots);
    },
  );

async function one(sign: Sign, { tenant, bot, role, ttl }: TokenOptions): Promise<CommandResult> {
  const token = await sign({ tenant, bot });
  return { document: { token, tenant, bot, roles: role ?? ['bot'], ttl_ms: ttl }, text: token, ok: true };
}

async function many(sign: Sign, { tenants, out }: TokenOptions, bots: number): Promise<CommandResult> {
  const members = botIdentities(bots, tenants);
  const tokens: string[] = [];
  for (let at = 0; at < members.length; at += BATCH) {
    tokens.push(...(await Promise.all(members.slice(at, at + BATCH).map(sign))));
  }
  if (out === undefined) return { document: { tokens }, text: tokens.join('\n'), ok: true };
  await writePrivately(out, `${tokens.join('\n')}\n`);
  return { document: { file: out, tokens: bots, tenants }, text: `${bots} tokens written to ${out}`, ok: true };
}

/** A file that was there keeps its mode on a plain write, so the mode is set before anything secret is in it. */
async function writePrivately(file: string, content: string): Promise<void> {
  try {
    const handle = await open(file, 'w', 0o600);
    try {
      await handle.chmod(0o600);
      await handle.writeFile(content);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new ParleyError('OUTPUT_UNWRITABLE', `${file} cannot be written: ${messageOf(error)}`);
  }
}
