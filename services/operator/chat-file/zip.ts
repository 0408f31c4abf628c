import { type Entry, openPromise } from 'yauzl';

export interface ZipEntry {
  readonly name: string;
  readonly chunks: AsyncIterable<Buffer>;
}

/** Names that chats have; an archive's pictures and voices have others. */
const CHAT_FILE = /\.(jsonl?|ndjson|txt|csv|tsv)(\.gz|\.zst)?$/i;
/** Copies of metadata that macOS puts into archives. */
const SHADOW = /(^|\/)(__MACOSX\/|\.)/;
/** A Slack export holds a folder a channel; the files beside them list people and channels. */
const SLACK_INDEX = /^(channels|users|groups|dms|mpims|integration_logs|canvases|huddle_transcripts|lists)\.json$/;
/** An archive of a day a file for thirty years, or of a hundred channels; the list of names is held. */
const MAX_ENTRIES = 100_000;

/** The texts of a zip archive in the order of their names: those of a channel by day. @throws {Error} without any */
export async function* zipEntries(file: string): AsyncGenerator<ZipEntry, void> {
  const archive = await openPromise(file, { lazyEntries: true, autoClose: false });
  try {
    const entries: Entry[] = [];
    const others: string[] = [];
    for await (const entry of archive.eachEntry()) {
      const { fileName } = entry;
      if (fileName.endsWith('/')) continue;
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
    for (const entry of entries) {
      yield { name: entry.fileName, chunks: (await archive.openReadStreamPromise(entry)) as AsyncIterable<Buffer> };
    }
  } finally {
    archive.close();
  }
}
