import { type CpuProfile, frameName, type ProfileNode, selfMicros, WAITING } from './profile-summary.ts';

/** A function below its caller, the same one called from the same place counted once. */
interface Flame {
  readonly name: string;
  readonly micros: number;
  readonly children: readonly Flame[];
}

const WIDTH = 1_200;
const ROW = 17;
const CHAR = 6.3;
/** Narrower ones are left out: they could not be read, and there are thousands. */
const LEAST_SHARE = 0.006;
const COLOURS: readonly (readonly [pattern: RegExp, colour: string, legend: string])[] = [
  [/ (services|load)\//, '#e8825d', 'ours'],
  [/ undici\//, '#6fa8dc', 'undici'],
  [/ kafkajs\//, '#93c47d', 'kafkajs'],
  [/ avsc\/|^(read|write)[A-Z]\w+$/, '#c9a0dc', 'avsc'],
  [/ node:/, '#d9d2a5', 'Node'],
  [/^\(garbage collector\)/, '#cc6677', 'garbage collector'],
];
const OTHER = '#cccccc';

/** A flame graph of a CPU profile as SVG: callers below, width by time, what waits left out. */
export function flameGraph(profile: CpuProfile, title: string): string {
  const root = flamesOf(profile);
  const rows: string[] = [];
  const depth = draw(root, 0, 0, WIDTH / root.micros, rows);
  const height = (depth + 3) * ROW;
  const legend = COLOURS.map(([, colour, name], index) => {
    const x = 10 + index * 130;
    return `<rect x="${x}" y="${ROW + 4}" width="11" height="11" fill="${colour}"/><text x="${x + 16}" y="${ROW + 14}">${name}</text>`;
  });
  // Drawn from the top down; the transform puts callers at the bottom.
  const flames = rows.map((row) =>
    row.replace(/Y(\d+)/g, (_, level: string) => String(height - (Number(level) + 1) * ROW)),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="11">`,
    `<rect width="100%" height="100%" fill="#fff"/><text x="10" y="${ROW - 4}" font-size="13">${escaped(title)}</text>`,
    ...legend,
    ...flames,
    '</svg>\n',
  ].join('\n');
}

function flamesOf(profile: CpuProfile): Flame {
  const micros = selfMicros(profile);
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const merge = (name: string, nodes: readonly ProfileNode[]): Flame => {
    const below = new Map<string, ProfileNode[]>();
    for (const id of nodes.flatMap(({ children }) => children ?? [])) {
      const child = byId.get(id);
      if (!child || WAITING.has(child.callFrame.functionName)) continue;
      below.set(frameName(child), [...(below.get(frameName(child)) ?? []), child]);
    }
    const children = [...below].map(([childName, each]) => merge(childName, each));
    const busy = nodes.filter(({ callFrame }) => !WAITING.has(callFrame.functionName));
    const own = busy.reduce((sum, { id }) => sum + (micros.get(id) ?? 0), 0);
    const total = children.reduce((sum, child) => sum + child.micros, own);
    return { name, micros: total, children: children.sort((a, b) => b.micros - a.micros) };
  };
  const [root] = profile.nodes;
  return merge('all', root ? [root] : []);
}

/** @returns how many rows were needed. */
function draw(flame: Flame, x: number, level: number, pxPerMicro: number, rows: string[]): number {
  const width = flame.micros * pxPerMicro;
  if (width < WIDTH * LEAST_SHARE) return level;
  const share = ((width / WIDTH) * 100).toFixed(1);
  const shown = flame.name.slice(0, Math.max(Math.floor((width - 4) / CHAR), 0));
  const colour = COLOURS.find(([pattern]) => pattern.test(flame.name))?.[1] ?? OTHER;
  rows.push(
    `<g><title>${escaped(flame.name)}: ${share} %</title><rect x="${x.toFixed(1)}" y="Y${level}" width="${Math.max(width - 0.5, 0.5).toFixed(1)}" height="${ROW - 1}" fill="${colour}"/>` +
      `${shown.length > 2 ? `<text x="${(x + 2).toFixed(1)}" y="Y${level}" dy="12">${escaped(shown)}</text>` : ''}</g>`,
  );
  let at = x;
  let deepest = level + 1;
  for (const child of flame.children) {
    deepest = Math.max(deepest, draw(child, at, level + 1, pxPerMicro, rows));
    at += child.micros * pxPerMicro;
  }
  return deepest;
}

const escaped = (text: string): string => text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);
