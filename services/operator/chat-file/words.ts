import { Parser } from 'htmlparser2';

/** Messengers write a picture without words as an empty text. */
export const words = (text: unknown): unknown => (text === '' || text === undefined ? null : text);

const BREAKS = new Set(['br', 'p', 'div', 'li', 'tr', 'h1', 'h2', 'h3', 'blockquote', 'pre']);
const HIDDEN = new Set(['style', 'script', 'head', 'title']);

/** What a reader of a page sees: a line for each paragraph, no mark-up. */
export function textOfHtml(html: string): string {
  let text = '';
  let hidden = 0;
  const newLine = () => {
    if (text !== '' && !text.endsWith('\n')) text += '\n';
  };
  const parser = new Parser({
    onopentag: (name) => {
      if (HIDDEN.has(name)) hidden += 1;
      if (BREAKS.has(name)) newLine();
    },
    onclosetag: (name) => {
      if (HIDDEN.has(name)) hidden -= 1;
      if (BREAKS.has(name)) newLine();
    },
    ontext: (part) => {
      if (hidden === 0) text += part;
    },
  });
  parser.end(html);
  return text.trim();
}
