import { parser } from '@prometheus-io/lezer-promql';

/** Grafana's variables, as Prometheus would get them. */
const VARIABLES: readonly [RegExp, string][] = [
  [/\$__rate_interval|\$__interval/g, '5m'],
  [/\$(service|instance)\b/g, '.*'],
];

export interface Selector {
  readonly metric: string;
  /** Labels that its matchers name. */
  readonly labels: readonly string[];
}

/**
 * The selectors of a PromQL expression, by Prometheus's own grammar.
 *
 * @throws when the expression is not PromQL.
 */
export function selectorsOf(expression: string): Selector[] {
  const text = VARIABLES.reduce((result, [pattern, value]) => result.replace(pattern, value), expression);
  const selectors: { metric: string; labels: string[] }[] = [];
  parser.parse(text).iterate({
    enter: ({ type, from, to, node }) => {
      if (type.isError) throw new Error(`not PromQL at ${from}: ${text}`);
      if (type.name === 'VectorSelector') {
        const name = node.getChild('Identifier');
        if (name) selectors.push({ metric: text.slice(name.from, name.to), labels: [] });
      }
      if (type.name === 'LabelName' && node.parent?.name === 'UnquotedLabelMatcher') {
        selectors.at(-1)?.labels.push(text.slice(from, to));
      }
    },
  });
  return selectors;
}
