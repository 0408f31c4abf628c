import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { eld } from 'eld/extrasmall';
import { NgramTable, type PackedNgrams } from './ngram-table.ts';

/** The smallest data that `eld` ships (60 languages, 50,000 n-grams), and what its entry points make a detector with. */
const ENTRY = 'eld/extrasmall';
const NGRAMS = '../ngrams/extrasmall.js';
const CORE = '../languageDetector.js';

export type LanguageDetector = Pick<typeof eld, 'detect'>;

interface Loaded {
  readonly type: string;
  readonly languages: Readonly<Record<number, string>>;
}

interface Core {
  readonly createEld: () => {
    readonly instance: LanguageDetector;
    readonly loadData: (data: Loaded & { readonly ngrams: object }) => void;
  };
}

interface NgramModule {
  readonly ngramsData: Loaded & { readonly ngrams: Readonly<Record<string, Readonly<Record<number, number>>>> };
}

const moduleBeside = (path: string): Promise<unknown> => import(new URL(path, import.meta.resolve(ENTRY)).href);

/** What `ngram-packer.ts` sends. */
type Packed = Loaded & PackedNgrams;

/** All of `eld`'s n-grams: 85 MB of memory that the process keeps. */
export const readNgrams = async (): Promise<NgramModule['ngramsData']> =>
  ((await moduleBeside(NGRAMS)) as NgramModule).ngramsData;

/**
 * `eld` on n-grams in two buffers. Imported as it is it takes 30 MB of heap and leaves 85 MB resident, half of what
 * an enricher is otherwise; so another process reads its n-grams, hands over a megabyte, and ends. The algorithm is
 * `eld`'s own; a test compares the answers with those of `eld` imported as it is.
 */
export async function loadLanguageDetector(): Promise<LanguageDetector> {
  const { type, languages, ...table } = await packElsewhere();
  const ngrams = new NgramTable(table);
  const { createEld } = (await moduleBeside(CORE)) as Core;
  const { instance, loadData } = createEld();
  loadData({ type, languages, ngrams: new Proxy({}, { get: (_, name) => ngrams.scoresOf(String(name)) }) });
  return instance;
}

async function packElsewhere(): Promise<Packed> {
  const packer = fork(new URL('./ngram-packer.ts', import.meta.url), { serialization: 'advanced', execArgv: [] });
  const ended = once(packer, 'exit').then(([code, signal]) => {
    throw new Error(`the n-grams were not read: their process ended with ${signal ?? code}`);
  });
  const [packed] = (await Promise.race([once(packer, 'message'), ended])) as [Packed];
  return packed;
}
