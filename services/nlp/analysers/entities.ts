import winkModel from 'wink-eng-lite-web-model';
import winkNLP from 'wink-nlp';

/** Closed list; `docs/nlp.md` says what each holds. */
export const ENTITY_TYPES = [
  'email',
  'url',
  'hashtag',
  'mention',
  'money',
  'percent',
  'date',
  'time',
  'duration',
  'phone',
  'reference',
  'number',
  'ordinal',
  'emoji',
] as const;
type EntityType = (typeof ENTITY_TYPES)[number];

export interface Entity {
  readonly type: EntityType;
  /** As written in the text. */
  readonly text: string;
  /** UTF-16 offsets into the text, end exclusive. */
  readonly start: number;
  readonly end: number;
}

/** Entities of every language, by their form; of two that overlap, the earlier pattern wins. Each runs in linear time. */
const FORMS: readonly (readonly [EntityType, RegExp])[] = [
  ['url', /\b(?:https?:\/\/|www\.)[^\s<>"']{2,500}[^\s<>"'.,;:!?)\]]/giu],
  ['email', /(?<![\w.+-])[\w.+-]{1,64}@[a-z\d-]{1,63}(?:\.[a-z\d-]{1,63}){1,4}/giu],
  ['mention', /(?<![\w@])@[a-z_]\w{1,49}/giu],
  [
    'reference',
    /(?<!\w)#[A-Z]{0,4}\d\w{2,20}|(?<![\w-])(?=[A-Z-]{0,12}\d)(?=[\d-]{0,12}[A-Z])[A-Z\d](?:[A-Z\d-]{3,18})[A-Z\d](?![\w-])/gu,
  ],
  ['hashtag', /(?<![\p{L}\d#&])#\p{L}[\p{L}\d_]{1,99}/gu],
  [
    'money',
    /[$€£¥₹₽₺]\s?\d{1,3}(?:[\d.,]{0,15}\d)?|\d{1,3}(?:[\d.,]{0,15}\d)?\s?(?:[$€£¥₹₽₺元円]|(?:EUR|USD|GBP|euros?|dollars?|pounds?)\b)/giu,
  ],
  ['percent', /\d{1,9}(?:[.,]\d{1,9})?\s?[%％]/gu],
  [
    'date',
    /(?<!\d)(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./](?:\d{4}|\d{2})|\d{4}年\d{1,2}月(?:\d{1,2}日)?|\d{1,2}月\d{1,2}日)(?!\d)/gu,
  ],
  ['time', /(?<![\d:.])(?:[01]?\d|2[0-3])(?::[0-5]\d(?:\s?[ap]\.?m\b)?|\s?[ap]\.?m\b)(?!\d)/giu],
  ['phone', /(?<![\w.])\+?\(?\d{2,4}\)?(?:[\s.-]\(?\d{2,4}\)?){2,4}(?!\w)/gu],
  ['emoji', /\p{Extended_Pictographic}(?:\ufe0f|\p{Emoji_Modifier}|\u200d\p{Extended_Pictographic})*/gu],
];

/** wink-nlp's names (MIT, model in the package) for what it finds in English text. */
const WINK_TYPES: Readonly<Record<string, EntityType>> = {
  DATE: 'date',
  TIME: 'time',
  DURATION: 'duration',
  MONEY: 'money',
  PERCENT: 'percent',
  CARDINAL: 'number',
  ORDINAL: 'ordinal',
};
const NUMBER = /(?<![\w.])\d{1,15}(?:[.,]\d{1,15})*(?!\w)/gu;
/** Without a digit or one of these words there is nothing for wink to find. */
const WORTH_READING =
  /\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|hundred|thousand|half|first|second|third|today|tonight|tomorrow|yesterday|noon|midnight|morning|evening|afternoon|now|week|weekend|month|year|day|hour|minute|(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|may|june|july|august|september|october|november|december)s?\b/i;

const wink = winkNLP(winkModel, ['ner']);
/** A message says all it has to say in its first part; this bounds the time for hostile ones. */
const READ_UNITS = 4_096;
export const MAX_ENTITIES = 50;

class Found {
  readonly entities: Entity[] = [];

  add(type: EntityType, text: string, start: number): void {
    const end = start + text.length;
    if (this.entities.some((other) => start < other.end && other.start < end)) return;
    if (this.entities.length < MAX_ENTITIES) this.entities.push({ type, text, start, end });
  }

  addMatches(type: EntityType, pattern: RegExp, text: string): void {
    for (const match of text.matchAll(pattern)) this.add(type, match[0], match.index);
  }
}

function addEnglish(found: Found, text: string): void {
  let from = 0;
  const details = wink.readDoc(text).entities().out(wink.its.detail) as unknown as { value: string; type: string }[];
  for (const { value, type } of details) {
    const at = text.indexOf(value, from);
    if (at < 0) continue;
    from = at + value.length;
    const known = WINK_TYPES[type];
    if (known) found.add(known, value, at);
  }
}

/** The things a text names: by their form in any language, by wink-nlp's rules in English; in order, none overlapping. */
export function findEntities(text: string, language: string): readonly Entity[] {
  const read = text.slice(0, READ_UNITS);
  const found = new Found();
  for (const [type, pattern] of FORMS) found.addMatches(type, pattern, read);
  if (language !== 'en') found.addMatches('number', NUMBER, read);
  else if (WORTH_READING.test(read)) addEnglish(found, read);
  return found.entities.sort((left, right) => left.start - right.start);
}
