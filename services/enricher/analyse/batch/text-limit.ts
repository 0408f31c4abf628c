import type { ProviderLimits } from '../provider/provider.ts';

/** UTF-8 bytes of a UTF-16 unit at most. */
const MAX_UTF8_BYTES = 3;

/** The text as the API takes it: whole, or cut to its limits; undefined where it must not be cut. */
export function fitText(text: string, limits: ProviderLimits): string | undefined {
  const { maxTextChars, maxTextBytes, overlongText } = limits;
  const tooManyBytes =
    maxTextBytes !== undefined && text.length * MAX_UTF8_BYTES > maxTextBytes && Buffer.byteLength(text) > maxTextBytes;
  if (text.length <= maxTextChars && !tooManyBytes) return text;
  if (overlongText === 'reject') return undefined;
  const cut = wholeCharacters(text, maxTextChars);
  return tooManyBytes ? cutBytes(cut, maxTextBytes) : cut;
}

/** At most so many units, no surrogate pair torn. */
function wholeCharacters(text: string, units: number): string {
  const last = text.charCodeAt(units - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? units - 1 : units);
}

function cutBytes(text: string, maxBytes: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(maxBytes));
  return text.slice(0, read);
}
