import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { type EndpointProcess, removeFolder, startEndpointProcess, temporaryFolder } from './endpoint-process.ts';
import { type Attack, attacks } from './statement-mutations.ts';

export interface FuzzOptions {
  readonly statements: number;
  readonly seed: number;
  readonly user: 'analyst' | 'default';
  /** Called after each batch. */
  readonly onProgress?: (done: number, byStatus: Readonly<Record<string, number>>) => void;
}

const BATCH = 200;
const AT_ONCE = 8;
/** Long enough for a statement that waits for its lane behind seven others of 1 s each on a busy machine. */
const ANSWER_TIMEOUT_MS = 120_000;

/** Statements that made the endpoint do what it must not; empty when it held. */
export interface Breach {
  readonly attack: Attack;
  readonly what: string;
}

/**
 * Sends disguised statements to a real endpoint. Its folder, a file with a secret and a watched folder (the process's
 * working folder and the target of every write) stand side by side: a breach is the secret in an answer, anything new
 * or changed in the other two, or an endpoint that does not answer.
 */
export async function fuzz(
  options: FuzzOptions,
): Promise<{ readonly byStatus: Record<string, number>; readonly breaches: Breach[] }> {
  const root = temporaryFolder();
  const folder = join(root, 'watched');
  const canaryFile = join(root, 'canary', 'secret.txt');
  const secret = `secret-${randomBytes(12).toString('hex')}`;
  for (const dir of ['watched', 'canary', 'data']) mkdirSync(join(root, dir));
  writeFileSync(canaryFile, `${secret}\n`);
  const endpoint = await startEndpointProcess(join(root, 'data'), {}, folder);
  const byStatus: Record<string, number> = {};
  const breaches: Breach[] = [];
  const isTouched = () =>
    readdirSync(folder).length > 0 ||
    readdirSync(root).length !== 3 ||
    readdirSync(join(root, 'canary')).length !== 1 ||
    readFileSync(canaryFile, 'utf8') !== `${secret}\n`;
  try {
    await post(
      endpoint,
      { sql: 'CREATE TABLE parts (a Int32, s String) ENGINE = MergeTree ORDER BY a', params: {} },
      'default',
    );
    for (let done = 0; done < options.statements && breaches.length === 0; done += BATCH) {
      const numRuns = Math.min(BATCH, options.statements - done);
      const batch = fc.sample(attacks({ canaryFile, folder }), { seed: options.seed + done, numRuns });
      const waiting = [...batch];
      const work = Array.from({ length: AT_ONCE }, async () => {
        for (let attack = waiting.shift(); attack && breaches.length === 0; attack = waiting.shift()) {
          const answer = await post(endpoint, attack, options.user).catch((error: unknown) => String(error));
          if (typeof answer === 'string') breaches.push({ attack, what: `no answer: ${answer}` });
          else {
            byStatus[answer.status] = (byStatus[answer.status] ?? 0) + 1;
            if (answer.text.includes(secret)) breaches.push({ attack, what: 'the secret was read' });
          }
        }
      });
      await Promise.all(work);
      if (isTouched()) breaches.push({ attack: batch[0] as Attack, what: 'a file was written within this batch' });
      options.onProgress?.(done + numRuns, byStatus);
    }
    const alive = await post(endpoint, { sql: 'SELECT count() FROM parts', params: {} }, 'default').then(
      ({ text }) => text,
      (error: unknown) => `no answer: ${error}`,
    );
    if (options.user === 'analyst' && alive !== '0\n')
      breaches.push({ attack: { sql: '', params: {} }, what: `the table has gone: ${alive}` });
    return { byStatus, breaches };
  } finally {
    await endpoint.end('SIGKILL');
    removeFolder(root);
  }
}

async function post(
  { url }: EndpointProcess,
  { sql, params }: Attack,
  user: string,
): Promise<{ readonly status: number; readonly text: string }> {
  const credentials = { user, password: user === 'default' ? '' : user };
  const response = await fetch(`${url}/?${new URLSearchParams({ ...params, ...credentials })}`, {
    method: 'POST',
    body: sql,
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  return { status: response.status, text: await response.text() };
}
