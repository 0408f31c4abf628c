export type Cell = string | number | null;

/** What others wrote must not steer the terminal. */
const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);

const show = (cell: Cell): string =>
  cell === null ? '-' : typeof cell === 'number' ? cell.toLocaleString('en') : printable(cell);

/** A table for a terminal: numbers to the right, everything else to the left. No rows: the header alone. */
export function formatTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const shown = rows.map((row) => row.map(show));
  const widths = header.map((title, column) => Math.max(title.length, ...shown.map((row) => row[column]?.length ?? 0)));
  const numeric = header.map((_, column) => rows.some((row) => typeof row[column] === 'number'));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(header), ...shown.map(line)].join('\n');
}
