/** A topic's settings as the cluster has them, by Kafka's names. */
export type TopicSettings = ReadonlyMap<string, string>;

export interface TopicFindings {
  /** Settings with which records would be lost: a service does not start. */
  readonly errors: readonly string[];
  /** Settings with which it works, with a consequence that an operator should know. */
  readonly warnings: readonly string[];
}

interface Rule {
  readonly setting: string;
  readonly kind: keyof TopicFindings;
  /** @returns what is wrong and what is allowed; undefined where all is well. */
  readonly fault: (actual: string, wanted: string | undefined) => string | undefined;
}

const atLeast = (consequence: string) => (actual: string, wanted: string | undefined) => {
  // Retention of -1 is for ever.
  if (wanted === undefined || Number(actual) === -1 || Number(actual) >= Number(wanted)) return undefined;
  return `is ${actual}, Parley asks for at least ${wanted}: ${consequence}`;
};

const RULES: readonly Rule[] = [
  {
    setting: 'cleanup.policy',
    kind: 'errors',
    fault: (actual) =>
      actual.includes('compact')
        ? `is ${actual}, only delete is allowed: compaction removes messages of a conversation that nothing has read`
        : undefined,
  },
  {
    setting: 'retention.ms',
    kind: 'warnings',
    fault: atLeast('what is not read within that time is lost, and told as a gap'),
  },
  {
    setting: 'max.message.bytes',
    kind: 'warnings',
    fault: atLeast('a record that is larger comes as a stub with its hash and its place'),
  },
  {
    setting: 'message.timestamp.type',
    kind: 'warnings',
    fault: (actual, wanted) =>
      wanted !== undefined && actual !== wanted
        ? `is ${actual}, Parley expects ${wanted}: stage latencies will be off`
        : undefined,
  },
];

/** What Parley requires of a topic, held against what it has. */
export function checkSettings(
  topic: string,
  wanted: Readonly<Record<string, string>>,
  actual: TopicSettings,
  replicas: number,
): TopicFindings {
  const findings = { errors: [] as string[], warnings: [] as string[] };
  for (const { setting, kind, fault } of RULES) {
    const value = actual.get(setting);
    const found = value === undefined ? undefined : fault(value, wanted[setting]);
    if (found) findings[kind].push(`${topic}: ${setting} ${found}`);
  }
  const inSync = Number(actual.get('min.insync.replicas') ?? 1);
  if (replicas > 1 && inSync < 2) {
    findings.warnings.push(
      `${topic}: min.insync.replicas is ${inSync} with ${replicas} replicas, Parley asks for at least 2: an acked message may be on one disk alone`,
    );
  }
  if (replicas > 1 && inSync >= replicas) {
    findings.warnings.push(
      `${topic}: min.insync.replicas is ${inSync} with ${replicas} replicas, less than ${replicas} is allowed: no broker can be away`,
    );
  }
  return findings;
}
