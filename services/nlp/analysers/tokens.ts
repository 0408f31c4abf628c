/** What the other analysers read of a text: its words once, and the few traits of its spelling that carry meaning. */
export interface Tokens {
  /** Words and emoji in order, lower-cased, apostrophes straight. */
  readonly words: readonly string[];
  /** For each word: written in capitals in a text that is not all capitals. */
  readonly shouted: readonly boolean[];
  readonly exclamations: number;
  readonly questions: number;
}

/** Emoji, emoticons, words; a word may hold apostrophes, and the signs used for masking letters (`f*ck`, `sh!t`). */
const WORD =
  /\p{Extended_Pictographic}|[:;]['’]?-?[()DPp/|\\[\]]|<3|[\p{L}\p{M}\p{N}]+(?:(?:['’]|[*@$#!]+(?=[\p{L}]))[\p{L}\p{M}]+)*/gu;
const HAS_LOWER = /\p{Ll}/u;
const IS_SHOUTED = /^[\p{Lu}'’]{2,}$/u;

/** Scripts that write no spaces between words: the runtime's own dictionaries cut them. */
const UNSPACED = new Set(['zh', 'ja', 'th', 'km', 'lo', 'my']);
const segmenters = new Map<string, Intl.Segmenter>();

function segmenterOf(language: string): Intl.Segmenter {
  const known = segmenters.get(language);
  if (known) return known;
  const made = new Intl.Segmenter(language, { granularity: 'word' });
  segmenters.set(language, made);
  return made;
}

const EXCLAMATION = /[!！]/g;
const GREEK_QUESTION = /[?;\u037e]/g;

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

const PLAIN_QUESTION = /[?？؟]/g;

/** Chinese adverbs that the runtime's dictionary glues to the next word ("很喜欢"); apart they can turn and boost it. */
const GLUED = /^([很不没太真最])(.+)$/u;

function segmented(text: string, language: string): string[] {
  const words: string[] = [];
  for (const { segment } of segmenterOf(language).segment(text)) {
    const glued = language === 'zh' ? GLUED.exec(segment) : null;
    if (glued) words.push(glued[1] ?? '', glued[2] ?? '');
    else if (segment.trim() !== '') words.push(segment);
  }
  return words;
}

export function tokenize(text: string, language: string): Tokens {
  const written: string[] = UNSPACED.has(language) ? segmented(text, language) : (text.match(WORD) ?? []);
  const mixedCase = HAS_LOWER.test(text);
  return {
    words: written.map((word) => word.toLowerCase().replaceAll('’', "'")),
    shouted: written.map((word) => mixedCase && IS_SHOUTED.test(word)),
    exclamations: count(text, EXCLAMATION),
    questions: count(text, language === 'el' ? GREEK_QUESTION : PLAIN_QUESTION),
  };
}
