import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChatLine } from '../../chat-line.ts';
import { isLeftOut, type LeftOut } from '../left-out.ts';
import { type InputFacts, type ReadOptions, readChats } from '../read-chats.ts';

/** What came out of files. */
export interface ReadResult {
  readonly lines: ChatLine[];
  readonly leftOut: LeftOut[];
  readonly inputs: InputFacts[];
  readonly mended: ReadOptions['mended'];
}

async function* nothing(): AsyncGenerator<Buffer, void> {}

/** Reads files that are there already. */
export async function readFiles(files: readonly string[], over: Partial<ReadOptions> = {}): Promise<ReadResult> {
  const result: ReadResult = { lines: [], leftOut: [], inputs: [], mended: { metadata_keys: 0, bytes: 0 } };
  const options: ReadOptions = {
    map: new Map(),
    speakers: new Map(),
    keepTimes: true,
    origin: 'run',
    stdin: nothing,
    onInput: (facts) => result.inputs.push(facts),
    mended: result.mended,
    ...over,
  };
  for await (const item of readChats(files, options)) {
    if (isLeftOut(item)) result.leftOut.push(item);
    else result.lines.push(item);
  }
  return result;
}

/** Writes one file and reads it; the name is what a shape sees of it. */
export async function readContent(
  content: string | Buffer,
  over: Partial<ReadOptions> & { readonly name?: string } = {},
): Promise<ReadResult> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-chat-file-'));
  try {
    const { name = 'chats', ...options } = over;
    const file = join(folder, name);
    await writeFile(file, content);
    const { leftOut, ...rest } = await readFiles([file], options);
    return { ...rest, leftOut: leftOut.map((item) => ({ ...item, file: item.file.slice(folder.length + 1) })) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** JSON Lines of these records. */
export const jsonLines = (...records: unknown[]): string => records.map((record) => JSON.stringify(record)).join('\n');
