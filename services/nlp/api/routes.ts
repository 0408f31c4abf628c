import type { IncomingMessage } from 'node:http';
import type { AnalyzeStep } from './analyze.ts';
import type { Answer } from './answers.ts';
import { errorAnswer } from './answers.ts';

export interface Route {
  /** As in the metrics' label `route`. */
  readonly name: string;
  readonly maxBodyBytes: number;
  readonly step: AnalyzeStep;
}

export type Routed = { readonly route: Route } | { readonly refusal: Answer };

/** Finds the route of a request, or says why there is none: unknown path, other method, body that is not JSON. */
export function findRoute(routes: ReadonlyMap<string, Route>, { method, url, headers }: IncomingMessage): Routed {
  const path = (url ?? '/').split('?', 1)[0] ?? '/';
  const route = routes.get(path);
  if (!route) {
    const message = `there is no such path; allowed are ${[...routes.keys()].join(' and ')}`;
    return { refusal: errorAnswer({ code: 'not_found', message }) };
  }
  if (method !== 'POST') {
    const message = `${method} is not possible here; allowed is POST`;
    return { refusal: errorAnswer({ code: 'method_not_allowed', message }, { allow: 'POST' }) };
  }
  const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  const encoding = headers['content-encoding'] ?? 'identity';
  if (type !== 'application/json' || encoding !== 'identity') {
    const message = 'allowed is Content-Type: application/json in UTF-8, without Content-Encoding';
    return { refusal: errorAnswer({ code: 'unsupported_media_type', message }) };
  }
  return { route };
}
