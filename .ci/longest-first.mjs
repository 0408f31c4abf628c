import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Sequencer from '@jest/test-sequencer';

/**
 * The files that take longest, a minute and more each, in this order: begun last, one of them would run alone at the end
 * while the other worker has nothing left to do.
 */
const LONGEST = [
  'services/verify/system/operators-reflexes.it.test.ts',
  'load/chaos/chaos.it.test.ts',
  'services/sink/sink.it.test.ts',
  'services/enricher/enricher-outage.it.test.ts',
  'services/enricher/enricher.it.test.ts',
  'services/verify/system/rebalance.it.test.ts',
  'services/cli/least-rights.it.test.ts',
  'services/platform/tracing/tracing.it.test.ts',
  'services/verify/system/pipeline.it.test.ts',
  'services/sink/sink-outage.it.test.ts',
  'load/enricher/enricher-bench.it.test.ts',
  'services/clickhouse/fuzz.test.ts',
];

const root = join(import.meta.dirname, '..');
const gone = LONGEST.filter((path) => !existsSync(join(root, path)));
if (gone.length > 0) throw new Error(`.ci/longest-first.mjs names files that are gone: ${gone.join(', ')}`);
const paths = LONGEST.map((path) => join(root, path));

/** jest's own order, by size where it has no times, with the longest in front. */
export default class LongestFirst extends Sequencer {
  async sort(tests) {
    const rank = ({ path }) => {
      const at = paths.indexOf(path);
      return at === -1 ? paths.length : at;
    };
    const sorted = await super.sort(tests);
    return sorted.sort((a, b) => rank(a) - rank(b));
  }
}
