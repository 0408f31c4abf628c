import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Sequencer from '@jest/test-sequencer';

/** The files that take longest, in seconds on two cores. */
const LONGEST = {
  'load/chaos/chaos.it.test.ts': 150,
  'services/sink/sink.it.test.ts': 130,
  'services/verify/system/operators-reflexes.it.test.ts': 110,
  'services/enricher/enricher-outage.it.test.ts': 85,
  'services/enricher/enricher.it.test.ts': 70,
  'services/sink/sink-outage.it.test.ts': 70,
  'services/platform/kafka/cluster.it.test.ts': 65,
  'services/verify/system/rebalance.it.test.ts': 65,
  'services/platform/tracing/tracing.it.test.ts': 60,
  'services/verify/system/wiped-kafka.it.test.ts': 50,
  'services/sink/sink-blocks.it.test.ts': 50,
  'services/verify/system/pipeline.it.test.ts': 50,
  'services/platform/kafka/contract.it.test.ts': 45,
  'services/cli/least-rights.it.test.ts': 45,
  'load/enricher/enricher-bench.it.test.ts': 45,
  'services/clickhouse/fuzz.test.ts': 35,
};
const OTHER_STACK_S = 18;
const OTHER_UNIT_S = 2;

const WORKERS = 3;
/** On two cores: beside a third, each file that starts services and brokers took up to twice as long. */
const STACK_FILES_AT_ONCE = 2;

const root = join(import.meta.dirname, '..');
const gone = Object.keys(LONGEST).filter((path) => !existsSync(join(root, path)));
if (gone.length > 0) throw new Error(`.ci/longest-first.mjs names files that are gone: ${gone.join(', ')}`);
const seconds = new Map(Object.entries(LONGEST).map(([path, s]) => [join(root, path), s]));

const isStack = ({ path }) => path.endsWith('.it.test.ts');
const secondsOf = (test) => seconds.get(test.path) ?? (isStack(test) ? OTHER_STACK_S : OTHER_UNIT_S);
const longestFirst = (tests) => tests.sort((a, b) => secondsOf(b) - secondsOf(a));

/**
 * The longest first, since begun last one of them would run alone at the end; and as far as it goes the third worker has
 * files without a stack, which fill what the waits of the others leave of two cores.
 */
export default class LongestFirst extends Sequencer {
  async sort(tests) {
    const sorted = await super.sort(tests);
    const stack = longestFirst(sorted.filter(isStack));
    const unit = longestFirst(sorted.filter((test) => !isStack(test)));
    const busyUntil = new Array(WORKERS).fill({ at: 0, stack: false });
    const order = [];
    while (stack.length + unit.length > 0) {
      const next = busyUntil.reduce((first, { at }, worker) => (at < busyUntil[first].at ? worker : first), 0);
      const now = busyUntil[next].at;
      const atOnce = busyUntil.filter((it, worker) => worker !== next && it.stack && it.at > now).length;
      const test = (unit.length === 0 || (stack.length > 0 && atOnce < STACK_FILES_AT_ONCE) ? stack : unit).shift();
      busyUntil[next] = { at: now + secondsOf(test), stack: isStack(test) };
      order.push(test);
    }
    return order;
  }
}
