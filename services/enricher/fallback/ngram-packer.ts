import { readNgrams } from './language-detector.ts';
import { packNgrams } from './ngram-table.ts';

/** A process that lives for this alone, see `language-detector.ts`. */
const { type, languages, ngrams } = await readNgrams();
process.send?.({ type, languages, ...packNgrams(ngrams) });
