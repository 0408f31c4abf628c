import { readFile } from 'node:fs/promises';
import { messageOf, ParleyError } from '../core/errors.ts';
import { readInstanceFiles } from '../platform/instance-file.ts';
import { tcpProbe } from '../platform/tcp-probe.ts';
import { botIdentities } from './bots.ts';
import { localKeyPath, tokenSigner } from './local-token.ts';
import { type OperatorSettings, runDirOf } from './settings.ts';

const DAY_MS = 86_400_000;
const PROBE_TIMEOUT_MS = 5_000;

/**
 * Where bots connect: `given`, else as the running gateway wrote it down, else on `GATEWAY_PORT` of this machine.
 *
 * @throws {ParleyError} CONFIG_INVALID for something else than a ws:// or wss:// URL; GATEWAY_UNREACHABLE when nothing
 * listens there.
 */
export async function findGateway(settings: OperatorSettings, given?: string): Promise<string> {
  const url = given ?? (await runningGateway(settings)) ?? `ws://127.0.0.1:${settings.GATEWAY_PORT}/v1/stream`;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^wss?:$/.test(parsed.protocol)) {
    throw new ParleyError('CONFIG_INVALID', `--url is ${JSON.stringify(url)}; allowed is a ws:// or wss:// URL`);
  }
  const port = Number(parsed.port) || (parsed.protocol === 'wss:' ? 443 : 80);
  try {
    await tcpProbe(parsed.hostname.replace(/^\[(.*)\]$/, '$1'), port, PROBE_TIMEOUT_MS);
  } catch (error) {
    throw new ParleyError('GATEWAY_UNREACHABLE', `Nothing listens at ${url}: ${messageOf(error)}.`, { cause: error });
  }
  return url;
}

async function runningGateway(settings: OperatorSettings): Promise<string | undefined> {
  const instances = await readInstanceFiles(runDirOf(settings));
  return instances.find(({ name, url }) => name === 'gateway' && url !== null)?.url ?? undefined;
}

/**
 * Tokens of a day for the bots of {@link botIdentities}, in this role and signed with the embedded key; or the first `bots` lines of a file.
 *
 * @throws {ParleyError} TOKEN_KEY_MISSING, INPUT_UNREADABLE
 */
export async function botTokens(
  settings: OperatorSettings,
  bots: number,
  tenants: number,
  file?: string,
  role: 'bot' | 'importer' = 'bot',
): Promise<string[]> {
  if (file !== undefined) return await readTokens(file, bots);
  const sign = await tokenSigner(localKeyPath(settings.PARLEY_DATA_DIR));
  return await Promise.all(botIdentities(bots, tenants).map((bot) => sign({ ...bot, roles: [role], ttlMs: DAY_MS })));
}

async function readTokens(file: string, bots: number): Promise<string[]> {
  const content = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new ParleyError('INPUT_UNREADABLE', `${file} cannot be read: ${messageOf(error)}`);
  });
  const tokens = content.split('\n').filter((line) => line.trim() !== '');
  if (tokens.length < bots) {
    throw new ParleyError(
      'INPUT_UNREADABLE',
      `${file} holds ${tokens.length} tokens, which is not enough for ${bots} bots.`,
    );
  }
  return tokens.slice(0, bots);
}
