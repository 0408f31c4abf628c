import { describeExit } from './process/child.ts';
import type { PartEvent } from './runners/runner.ts';

const NAME_WIDTH = 12;
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1).padStart(5)} s`;
const row = (name: string, text: string): string => `  ${name.padEnd(NAME_WIDTH)}${text}`;

/** One line for people about what happened to a part; `undefined` where there is nothing to say. */
export function progressLine(event: PartEvent): string | undefined {
  switch (event.type) {
    case 'starting':
    case 'stopping':
    case 'output':
      return undefined;
    case 'ready':
      return row(event.part, `ready    ${seconds(event.elapsedMs)}`);
    case 'exited':
      return row(
        event.part,
        `ended (${describeExit(event.exit)}), starts again in ${seconds(event.restartInMs).trim()}`,
      );
    case 'stopped':
      return row(event.part, `stopped  ${seconds(event.elapsedMs)}`);
  }
}

/** Puts the part's name before each line of its output; an unfinished line waits for its end. */
export function logPrefixer(write: (line: string) => void): (part: string, chunk: Buffer) => void {
  const unfinished = new Map<string, string>();
  return (part, chunk) => {
    const lines = `${unfinished.get(part) ?? ''}${chunk.toString('utf8')}`.split('\n');
    unfinished.set(part, lines.pop() ?? '');
    for (const line of lines) write(`${part.padEnd(NAME_WIDTH)}| ${line}`);
  };
}

interface ReadyPart {
  readonly name: string;
  readonly address: string | undefined;
  readonly pid: number | undefined;
  readonly external: boolean;
  /** The variable that gave its address, when it is external. */
  readonly variable: string | undefined;
}

export interface ReadyReport {
  readonly parts: readonly ReadyPart[];
  readonly elapsedMs: number;
  readonly dataDir: string;
  /** A bot's token of the embedded key; absent with a key of one's own, or without a gateway. */
  readonly token: string | undefined;
  readonly tokenNote: string;
  /** Variables that the `parley` command needs in another terminal, where they differ from its defaults. */
  readonly settings: Readonly<Record<string, string>>;
  /** False when only some parts were asked for: then the commands to try would fail. */
  readonly complete: boolean;
}

const noteOf = ({ name, external }: ReadyPart): string => {
  if (external) return '  (yours)';
  return name === 'clickhouse' ? '  (for reading: user analyst, password analyst)' : '';
};

/** What to type in another terminal. A given address is not repeated: it may hold a password. */
function nextSteps({ settings, parts }: ReadyReport): string[] {
  const given = parts.flatMap(({ variable }) => (variable === undefined ? [] : [variable]));
  const exports = Object.entries(settings).map(([name, value]) => `  export ${name}=${value}`);
  return [
    '',
    `Try next, in another terminal${given.length > 0 ? ` (with the same ${given.join(', ')})` : ''}:`,
    ...exports,
    '  npx parley send --demo',
    'and then check that nothing was lost:',
    '  npx parley verify',
  ];
}

/** The short table after a start: addresses, a token, what to try next. */
export function readyText(ready: ReadyReport): string {
  const { parts, elapsedMs, dataDir, token, tokenNote, complete } = ready;
  const reachable = parts.filter(({ address }) => address !== undefined);
  return [
    `Ready in ${seconds(elapsedMs).trim()}. Data, logs and keys: ${dataDir}`,
    '',
    ...reachable.map((part) => row(part.name, `${part.address}${noteOf(part)}`)),
    ...(token === undefined ? [] : ['', `Token (${tokenNote}):`, `  ${token}`]),
    ...(complete ? nextSteps(ready) : []),
    '',
    'Ctrl-C stops everything.',
    '',
  ].join('\n');
}

/** The same for programs: one JSON document. */
export const readyDocument = ({ parts, elapsedMs, dataDir, token }: ReadyReport): string =>
  `${JSON.stringify({
    ready: true,
    elapsed_ms: Math.round(elapsedMs),
    data_dir: dataDir,
    token: token ?? null,
    parts: parts.map(({ name, address, pid, external }) => ({
      name,
      address: address ?? null,
      pid: pid ?? null,
      external,
    })),
  })}\n`;
