import type { Insight } from '../../services/core/records.ts';
import { ResultCache } from '../../services/enricher/analyse/cache/result-cache.ts';
import { textKey } from '../../services/enricher/analyse/cache/text-key.ts';
import { isLeftOut } from '../../services/operator/chat-file/left-out.ts';
import { readChats } from '../../services/operator/chat-file/read-chats.ts';

export interface HitRate {
  /** What was streamed: a file's name, or `all, …`. */
  readonly stream: string;
  readonly messages: number;
  /** Messages whose result was in the cache. */
  readonly hits: number;
  /** Those that an endless cache would have added, as messages. */
  readonly evicted: number;
  /** At the end. */
  readonly entries: number;
  readonly bytes: number;
}

/** As the service would cache it; texts alone decide about hits. */
const RESULT: Insight = {
  language: 'en',
  language_confidence: 0.9,
  sentiment_label: 'neutral',
  sentiment_score: 0,
  intent: 'inform',
  intent_confidence: 0.5,
  toxicity_score: 0.1,
  topics: [],
  model: 'model/1',
};
/** The data has no times: nothing expires. */
const TTL_MS = 86_400_000;

/** The texts of a file of chats, in any shape that `parley send` takes; what is no message is left out. */
export async function* textsOf(file: string): AsyncGenerator<string, void> {
  for await (const parsed of readChats([file])) {
    if (!isLeftOut(parsed)) yield parsed.text;
  }
}

/** The texts of all streams, each next one from a stream drawn at random, until all have ended. */
export async function* interleaved(
  streams: readonly AsyncGenerator<string, void>[],
  random: () => number,
): AsyncGenerator<string, void> {
  const open = [...streams];
  while (open.length > 0) {
    const index = Math.floor(random() * open.length);
    const { value, done } = await (open[index] as AsyncGenerator<string, void>).next();
    if (done) open.splice(index, 1);
    else yield value;
  }
}

/** Streams texts through the service's own key and cache. */
export async function measure(stream: string, texts: AsyncIterable<string>, maxBytes: number): Promise<HitRate> {
  const cache = new ResultCache({ maxBytes, ttlMs: TTL_MS });
  const seen = new Set<string>();
  let [messages, repeats] = [0, 0];
  for await (const text of texts) {
    messages++;
    const key = textKey(text);
    if (seen.has(key)) repeats++;
    else seen.add(key);
    if (!cache.get(key)) cache.set(key, RESULT);
  }
  const { hits, entries, bytes } = cache;
  return { stream, messages, hits, evicted: repeats - hits, entries, bytes };
}
