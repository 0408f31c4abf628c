import type { ChaosReport } from './chaos-report.ts';
import { planned, seconds } from './schedule-text.ts';

type Row = readonly (string | number | null)[];

const line = (cells: Row): string => `| ${cells.map((cell) => cell ?? '').join(' | ')} |`;

/** @param text how many of the first columns are text; the others hold numbers. */
function table(header: readonly string[], text: number, rows: readonly Row[]): string[] {
  return [line(header), line(header.map((_, column) => (column < text ? '---' : '--:'))), ...rows.map(line), ''];
}

/** The report to be kept: what was broken when, what it cost, and that nothing came of it. */
export function markdownReport(report: ChaosReport): string {
  return [
    `# Chaos run of seed ${report.seed}`,
    '',
    report.ok
      ? 'Nothing lost, nothing counted twice.'
      : `${report.violations.length} violations:\n\n${report.violations.map((violation) => `* ${violation}`).join('\n')}`,
    '',
    '```sh',
    report.repeat,
    '```',
    '',
    ...summary(report),
    '## Events',
    '',
    'Repeated calls are documents sent to the NLP API once more between the beginning of the event and that of the next.',
    '',
    ...table(
      ['#', 'began', 'event', 'part', 'for', 'recovered in', 'repeated calls'],
      4,
      report.events.map((event) => [
        ...planned({ ...event, at_ms: event.began_ms }),
        event.recovery_ms === null ? 'never' : seconds(event.recovery_ms),
        event.repeated_calls,
      ]),
    ),
    ...killTable(report),
  ].join('\n');
}

function summary({ verify, nlp_calls: calls, ended_by_themselves: ended, ...report }: ChaosReport): string[] {
  const law = verify.topics['chat.events'];
  const wrong = Object.entries(verify.violations).map(([name, count]) => [name.replaceAll('_', ' '), count] as const);
  const ends = Object.entries(ended).map(([part, count]) => `${part} ${count}`);
  return table(['figure', 'value'], 1, [
    ['seconds', report.duration_s],
    ['messages sent', report.sent],
    ['acked', report.acked],
    ['sent again by bots', report.resent],
    ['records of chat.events', law.events],
    ['missing', law.missing],
    ...wrong,
    ['duplicates recognised', law.duplicate_receipts],
    ['poison, dead letters', `${report.poison}, ${report.dead_letters}`],
    ['messages of another producer', report.foreign],
    ['documents sent to the NLP API', calls.sent],
    ['of these repeated', calls.repeated],
    ['processes that ended by themselves and were started again', ends.join(', ') || 'none'],
  ]);
}

function killTable({ kills }: ChaosReport): string[] {
  if (kills.length === 0) return [];
  return [
    '## Enrichers killed',
    '',
    'A `kill -9` may repeat what was in flight and what was acked since the last commit, and nothing else.',
    '',
    ...table(
      [
        '#',
        'process',
        'calls in flight',
        'answered, not acked',
        'acked, not committed',
        'oldest of these',
        'repeated',
        'unexplained',
      ],
      2,
      kills.map((kill) => [
        kill.event,
        kill.life,
        kill.calls_in_flight,
        kill.answered_not_acked,
        kill.acked_not_committed ?? 'not read in time',
        `${kill.oldest_not_committed_ms} ms`,
        kill.repeated,
        kill.unexplained.length,
      ]),
    ),
  ];
}
