/** A row of `system.functions`. */
export interface EngineFunction {
  readonly name: string;
  readonly is_aggregate: number;
  readonly alias_to: string;
  readonly categories: string;
}

/**
 * Groups of `system.functions` in which every function computes from its arguments alone. A group that a later engine
 * adds is refused until it stands here.
 */
// biome-ignore format: one line a handful
const PURE_CATEGORIES: ReadonlySet<string> = new Set([
  'Arithmetic', 'Arrays', 'Bit', 'Bitmap', 'Comparison', 'Conditional', 'Dates and Times', 'Distance', 'Encoding',
  'Encryption', 'Financial', 'Geo', 'Geo Polygon', 'Hash', 'IP Address', 'JSON', 'Logical', 'Map', 'Mathematical', 'Null',
  'NumericIndexedVector', 'QBit', 'Random Number', 'Rounding', 'String', 'String Replacement', 'String Search',
  'String Splitting', 'Time Series', 'Time Window', 'Tuple', 'Type Conversion', 'UUID', 'URL',
]);

/** Functions of the groups `Other` and `Internal`, where others stand that read files, sleep and look into the server. */
// biome-ignore format: one line a handful
const PURE_OTHERS: ReadonlySet<string> = new Set([
  'bar', 'blockNumber', 'blockSize', 'byteSize', 'caseWithExpression', 'countDigits', 'currentDatabase', 'currentUser',
  'currentRoles', 'currentSchemas', 'defaultValueOfArgumentType', 'defaultValueOfTypeName', 'digits', 'displayName',
  'dumpColumnStructure', 'errorCodeToName', 'finalizeAggregation', 'flipCoordinates',
  'formatReadableDecimalSize', 'formatReadableQuantity',
  'formatReadableSize', 'formatReadableTimeDelta', 'getSetting', 'getSettingOrDefault', 'getSizeOfEnumType',
  'getSubcolumn', 'globalVariable', 'hasColumnInTable', 'hostName', 'identity', 'ignore', 'indexHint',
  'initializeAggregation', 'isConstant', 'isDecimalOverflow', 'lowCardinalityIndices', 'lowCardinalityKeys',
  'MACNumToString', 'MACStringToNum', 'MACStringToOUI', 'materialize', 'minSampleSizeContinuous',
  'minSampleSizeConversion', 'neighbor', 'normalizedQueryHash', 'normalizedQueryHashKeepNames', 'normalizeQuery',
  'normalizeQueryKeepNames', 'parseReadableSize', 'parseReadableSizeOrNull', 'parseReadableSizeOrZero',
  'parseTimeDelta', 'partitionId', 'queryID', 'currentQueryID', 'initialQueryID', 'revision', 'rowNumberInAllBlocks',
  'rowNumberInBlock', 'runningAccumulate', 'runningDifference', 'runningDifferenceStartingWithFirstValue', 'throwIf',
  'toColumnTypeName', 'toTypeName', 'transform', 'uptime', 'variantElement', 'variantType', 'version', 'visibleWidth',
  'serverUUID', 'lambda',
]);

/** Table functions that make rows of their arguments alone. */
// biome-ignore format: one line a handful
const PURE_TABLE_FUNCTIONS = [
  'numbers', 'numbers_mt', 'zeros', 'zeros_mt', 'primes', 'generateSeries', 'generate_series', 'generateRandom', 'values',
  'null', 'view',
];

/** Keywords after which the engine prints a bracket: none is the name of a function that must not be called. */
// biome-ignore format: one line a handful
const KEYWORDS: ReadonlySet<string> = new Set([
  'ALL', 'AND', 'ANY', 'AS', 'BETWEEN', 'BY', 'COLUMNS', 'DISTINCT', 'ELSE', 'END', 'EXCEPT', 'EXISTS', 'FROM', 'HAVING',
  'ILIKE', 'IN', 'INTERPOLATE', 'INTERSECT', 'JOIN', 'LIKE', 'LIMIT', 'NOT', 'OFFSET', 'ON', 'OR', 'OVER', 'PREWHERE',
  'QUALIFY', 'REPLACE', 'APPLY', 'SAMPLE', 'SELECT', 'SETS', 'ROLLUP', 'CUBE', 'STEP', 'TABLE', 'THEN', 'TO', 'UNION',
  'USING', 'WHEN', 'WHERE', 'WITH', 'AST', 'SYNTAX', 'PLAN', 'PIPELINE', 'ESTIMATE', 'TREE', 'FETCH', 'DESCRIBE',
]);

const COMBINATOR =
  /(?:If|Array|Map|Distinct|OrDefault|OrNull|OrFill|Merge|MergeState|State|SimpleState|Resample|ForEach|ArgMin|ArgMax|Null|Tuple)$/;

/** What an analyst may name in a statement, made out of the engine's own list when it opens. */
export class AnalystFunctions {
  readonly #allowed: ReadonlySet<string>;
  readonly #aggregates: ReadonlySet<string>;
  readonly #refused: ReadonlySet<string>;

  constructor(functions: readonly EngineFunction[]) {
    const byName = new Map(functions.map((entry) => [entry.name, entry]));
    const isPure = (entry: EngineFunction): boolean => {
      if (entry.alias_to !== '') {
        // Aliases point at names in any case.
        const target = byName.get(entry.alias_to) ?? functions.find((other) => same(other.name, entry.alias_to));
        return target !== undefined && target.alias_to === '' && isPure(target);
      }
      return entry.is_aggregate === 1 || PURE_CATEGORIES.has(entry.categories) || PURE_OTHERS.has(entry.name);
    };
    const lower = (entries: readonly EngineFunction[]) => new Set(entries.map(({ name }) => name.toLowerCase()));
    this.#refused = lower(functions.filter((entry) => !isPure(entry)));
    const pure = [...lower(functions.filter(isPure)), ...PURE_TABLE_FUNCTIONS.map((name) => name.toLowerCase())];
    this.#allowed = new Set(pure.filter((name) => !this.#refused.has(name)));
    this.#aggregates = lower(functions.filter(({ is_aggregate }) => is_aggregate === 1));
  }

  /** Whether `name` may stand before a bracket. */
  mayCall(name: string): boolean {
    if (KEYWORDS.has(name) || this.#allowed.has(name.toLowerCase())) return true;
    for (let base = name; COMBINATOR.test(base); ) {
      base = base.replace(COMBINATOR, '');
      if (this.#aggregates.has(base.toLowerCase())) return true;
    }
    return false;
  }

  /** Whether `name` may stand anywhere at all: higher-order functions take others by their bare names. */
  mayName = (name: string): boolean => !this.#refused.has(name.toLowerCase());
}

const same = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();
