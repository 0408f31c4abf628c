/** ASCII words with single spaces between them, as most messages are, are their own key; this is found in all others. */
const UNUSUAL = /[^ -~]|^ | $| {2}/;
/** Anything but single spaces between words. */
const UNTIDY = /^\s|\s$|\s\s|[^\S ]/;

/**
 * What two texts have in common that are one for the NLP API: canonical composition (NFC), and white space that is
 * trimmed and collapsed. Case is kept: "GREAT" and "great" differ in sentiment.
 */
export function textKey(text: string): string {
  if (!UNUSUAL.test(text)) return text;
  const composed = text.normalize('NFC');
  return UNTIDY.test(composed) ? composed.trim().replace(/\s+/g, ' ') : composed;
}
