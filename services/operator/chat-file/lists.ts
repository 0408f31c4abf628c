import { isObject, type Json } from './json-value.ts';
import type { Sample } from './shape.ts';

/** A list of objects in a document's beginning. */
export interface List {
  /** As `$.chats.*.messages.*`. */
  readonly path: string;
  readonly elements: readonly Json[];
}

const MAX_DEPTH = 4;
/** Names of lists that are taken before others. */
const NAMES = ['messages', 'conversations', 'chats', 'tickets', 'data', 'results', 'items', 'records', 'rows'];
/** Elements of a list that are looked at. */
const SAMPLE_ELEMENTS = 20;

/** Lists of objects, those nearest to the root first, and by {@link NAMES} among equals. */
function listsOf(root: unknown): List[] {
  const found: List[] = [];
  let level: { path: string; value: unknown }[] = [{ path: '$', value: root }];
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
    const next: { path: string; value: unknown }[] = [];
    for (const { path, value } of level) {
      if (Array.isArray(value)) {
        const elements = value.filter(isObject).slice(0, SAMPLE_ELEMENTS);
        if (elements.length > 0) found.push({ path: `${path}.*`, elements });
      } else if (isObject(value)) {
        for (const key of Object.keys(value).sort((a, b) => rank(a) - rank(b))) {
          if (!key.includes('.')) next.push({ path: `${path}.${key}`, value: value[key] });
        }
      }
    }
    level = next;
  }
  return found;
}

const rank = (key: string): number => (NAMES.includes(key) ? NAMES.indexOf(key) : NAMES.length);

/** What a sample is likely to hold as records: its lines, or the elements of each of its lists. */
export function candidates(sample: Sample): List[] {
  if (sample.kind === 'text') return [];
  if (sample.kind === 'document') return listsOf(sample.root);
  return [{ path: '', elements: sample.records.filter(isObject).slice(0, SAMPLE_ELEMENTS) }];
}

/** The layout whose records pass: most of the sampled ones, since an export has other entries between. */
export function layoutWhere(sample: Sample, passes: (record: Json) => boolean) {
  const list = candidates(sample).find(({ elements }) => elements.some(passes));
  return list && { lists: list.path === '' ? [] : [list.path] };
}
