/**
 * Who may import whom (docs/architecture.md). Services meet at a topic and its schema, never in code; vendor clients stay
 * behind services/platform, so that each could be exchanged without a change elsewhere.
 */
const SERVICES = [
  'gateway',
  'enricher',
  'sink',
  'replay',
  'verify',
  'erasure',
  'console',
  'client',
  'nlp',
  'clickhouse',
  'local',
  'operator',
  'cli',
];

/** What each folder may import besides itself and core. `client` is for bots: it stands on core alone. */
const ALLOWED = {
  gateway: ['platform'],
  enricher: ['platform'],
  sink: ['platform'],
  replay: ['platform'],
  verify: ['platform'],
  erasure: ['platform'],
  console: ['platform'],
  client: [],
  nlp: ['platform'],
  clickhouse: ['platform'],
  local: ['platform', 'operator'],
  operator: ['platform'],
  cli: ['platform', 'client', 'replay', 'verify', 'erasure', 'operator'],
};

const TESTS = '\\.test\\.ts$|/testing/';

export default {
  forbidden: [
    {
      name: 'core-is-pure',
      severity: 'error',
      from: { path: '^services/core/', pathNot: TESTS },
      to: { path: '^(services/(?!core/)|load/)' },
    },
    {
      name: 'platform-imports-core',
      severity: 'error',
      from: { path: '^services/platform/', pathNot: TESTS },
      to: { path: '^(services/(?!core/|platform/)|load/)' },
    },
    ...SERVICES.map((service) => ({
      name: `${service}-keeps-to-itself`,
      severity: 'error',
      comment: `services/${service} may import ${['core', ...ALLOWED[service]].join(', ')}`,
      from: { path: `^services/${service}/`, pathNot: TESTS },
      to: { path: `^(services/(?!${[service, 'core', ...ALLOWED[service]].join('|')})|load/)` },
    })),
    {
      name: 'tests-run-the-real-stack-and-nothing-else',
      severity: 'error',
      comment: 'A test may start the embedded stack and act as a client; it does not reach into another service.',
      from: { path: '^services/([^/]+)/.*(\\.test\\.ts$|/testing/)' },
      to: {
        path: '^services/',
        pathNot:
          '^services/($1|core|platform|client|client-python/testing|local/testing|replay|verify|erasure|operator)/',
      },
    },
    {
      name: 'load-is-a-client',
      severity: 'error',
      comment:
        'Three benches measure a part from within: the cache, the analysers, and the look-ups of the sink. The hostile run shares the bytes of the fuzz tests.',
      from: { path: '^load/', pathNot: '^load/(cache|nlp-score)/|^load/message-keys/' },
      to: {
        path: '^services/',
        pathNot: '^services/(core|platform|client|replay|verify|operator|local/testing|gateway/fuzz/testing)/',
      },
    },
    {
      name: 'nobody-imports-a-main',
      severity: 'error',
      from: {},
      to: { path: '/main\\.ts$' },
    },
    {
      name: 'vendor-clients-stay-in-platform',
      severity: 'error',
      from: { path: '^(services|load)/', pathNot: `^services/platform/|${TESTS}` },
      to: { path: 'node_modules/(kafkajs|@kafkajs/|@clickhouse/|avsc|prom-client|@opentelemetry/)' },
    },
    {
      name: 'the-client-brings-ws-alone',
      severity: 'error',
      comment: 'What @parley/client imports is what its users install.',
      from: { path: '^services/client/[^/]+\\.ts$', pathNot: `${TESTS}|build\\.ts$` },
      to: { path: 'node_modules/', pathNot: 'node_modules/(@types/)?ws/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'only-declared-packages',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // A spike with packages of its own (load/seam/README.md), and what was built.
    exclude: { path: '^load/seam/|^services/client/dist/' },
    // Tests and the build of a workspace use the root's packages.
    combinedDependencies: true,
    tsConfig: { fileName: 'tsconfig.json' },
    parser: 'swc',
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
