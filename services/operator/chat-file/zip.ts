import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { NOBODY, type People, peopleOf } from './people.ts';

export interface ZipEntry {
  readonly name: string;
  readonly chunks: AsyncIterable<Buffer>;
  /** Who the archive says that its people are. */
  readonly people: People;
}

/** Names that chats have; an archive's pictures and voices have others. */
const CHAT_FILE = /\.(jsonl?|ndjson|txt|csv|tsv)(\.gz|\.zst)?$/i;
/** Copies of metadata that macOS puts into archives. */
const SHADOW = /(^|\/)(__MACOSX\/|\.)/;
/** A Slack export holds a folder a channel; the files beside them list people and channels. */
const SLACK_INDEX = /^(channels|users|groups|dms|mpims|integration_logs|canvases|huddle_transcripts|lists)\.json$/;
/** The file among them that says who people are; some archives have all in one folder. */
const SLACK_USERS = /^([^/]+\/)?users\.json$/;
/** As large as one element of a document may be; some ten thousand people. */
const MAX_USERS_BYTES = 32 << 20;
/** An archive of a day a file for thirty years, or of a hundred channels; the list of names is held. */
const MAX_ENTRIES = 100_000;

/** The texts of a zip archive in the order of their names: those of a channel by day. @throws {Error} without any */
export async function* zipEntries(file: string): AsyncGenerator<ZipEntry, void> {
  const archive = await openPromise(file, { lazyEntries: true, autoClose: false });
  try {
    const entries: Entry[] = [];
    const others: string[] = [];
    let users: Entry | undefined;
    for await (const entry of archive.eachEntry()) {
      const { fileName } = entry;
      if (fileName.endsWith('/')) continue;
      if (SLACK_USERS.test(fileName) && entry.uncompressedSize <= MAX_USERS_BYTES) users = entry;
      const isChat = CHAT_FILE.test(fileName) && !SHADOW.test(fileName) && !SLACK_INDEX.test(fileName);
      if (isChat) entries.push(entry);
      else if (others.length < 5) others.push(fileName);
      if (entries.length > MAX_ENTRIES) throw new Error(`it holds more than ${MAX_ENTRIES} files`);
    }
    if (entries.length === 0) {
      throw new Error(
        `this archive holds no .json, .jsonl, .ndjson, .txt or .csv file, but ${others.join(', ') || 'nothing'}`,
      );
    }
    entries.sort((a, b) => (a.fileName < b.fileName ? -1 : 1));
    const people = users ? peopleOf(await textOf(archive, users)) : NOBODY;
    for (const entry of entries) {
      const chunks = (await archive.openReadStreamPromise(entry)) as AsyncIterable<Buffer>;
      yield { name: entry.fileName, chunks, people };
    }
  } finally {
    archive.close();
  }
}

async function textOf(archive: ZipFile, entry: Entry): Promise<string> {
  const chunks: Buffer[] = [];
  // It ends at the size that the archive names, else with an error.
  for await (const chunk of (await archive.openReadStreamPromise(entry)) as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
