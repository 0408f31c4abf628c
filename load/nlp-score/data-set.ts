import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';

/** One message of the labelled chat data; see the README beside the files. */
export interface LabelledMessage {
  readonly dataset: string;
  readonly conversation_id: string;
  readonly speaker: 'user' | 'bot';
  readonly text: string;
  readonly labels?: {
    readonly language?: string;
    readonly dialect?: string;
    readonly sentiment?: string;
    readonly toxicity?: string;
    readonly intent?: string;
  };
}

export type Split = 'dev' | 'test';

/** Where the data lies: the given folder, or `../shared/data` beside the repository; `undefined` if it is not there. */
export function dataFolder(given: string | undefined): string | undefined {
  const folder = given ?? join(import.meta.dirname, '../../../shared/data');
  return existsSync(join(folder, 'xed.jsonl.gz')) ? folder : undefined;
}

/**
 * Half of the conversations, by a hash (FNV-1a) of their id, serve to tune the models; only the other half is
 * reported. A translated dialogue goes with its original: their ids differ in the language alone.
 */
export function splitOf(conversationId: string): Split {
  const id = conversationId.replace(/^woz-[a-z]{2}-/, 'woz-');
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  return ((hash ^ (hash >>> 15)) & 1) === 0 ? 'dev' : 'test';
}

/** The messages of one file, in order. */
export async function* readDataSet(folder: string, name: string): AsyncGenerator<LabelledMessage> {
  const stream = createReadStream(join(folder, `${name}.jsonl.gz`)).pipe(createGunzip());
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line !== '') yield JSON.parse(line) as LabelledMessage;
  }
}
