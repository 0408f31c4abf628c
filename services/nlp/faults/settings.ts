import { z } from 'zod';
import { ParleyError } from '../../core/errors.ts';

const rate = z.number().min(0).max(1);

const settingsSchema = z
  .strictObject({
    /** Share of requests answered with each HTTP status, e.g. {"500": 0.1, "429": 0.05}. */
    errors: z.record(z.string().regex(/^[45]\d\d$/, 'allowed are statuses 400 to 599'), rate).default({}),
    /** `Retry-After` of injected 429 and 503, in seconds. */
    retry_after_s: z.number().int().min(0).max(3_600).default(1),
    /** Share of requests that are never answered. */
    hang_rate: rate.default(0),
    /** Share of requests whose connection is cut, before or within the answer. */
    drop_rate: rate.default(0),
    /** Share of requests answered 200 with a body that is not the API's. */
    garbage_rate: rate.default(0),
    /** Slower answers: (latency × factor + extra_ms) for a share of requests. */
    slow: z
      .strictObject({
        rate,
        factor: z.number().min(1).max(1_000).default(1),
        extra_ms: z.number().min(0).max(600_000).default(0),
      })
      .optional(),
    /** 429 with `Retry-After` for whatever exceeds a token bucket. */
    rate_limit: z
      .strictObject({
        requests_per_s: z.number().positive().max(1_000_000),
        burst: z.number().int().min(1).max(1_000_000).optional(),
      })
      .optional(),
    /** Share of documents that fail with `analysis_failed`, alone within a batch. */
    document_error_rate: rate.default(0),
    /** Documents whose text contains this are refused with 400 `rejected`, every time. */
    reject_containing: z.string().min(1).max(256).optional(),
  })
  .refine((settings) => exclusiveShare(settings) <= 1 + 1e-9, {
    message: 'the rates of errors, hang_rate, drop_rate and garbage_rate together exceed 1',
  });

type Shares = { errors: Record<string, number>; hang_rate: number; drop_rate: number; garbage_rate: number };

function exclusiveShare(settings: Shares): number {
  const errors = Object.values(settings.errors).reduce((sum, share) => sum + share, 0);
  return errors + settings.hang_rate + settings.drop_rate + settings.garbage_rate;
}

/** What goes wrong on purpose, and how often; see `docs/nlp.md`. */
export type FaultSettings = z.output<typeof settingsSchema>;

export const NO_FAULTS: FaultSettings = settingsSchema.parse({});

export type ParsedFaults =
  | { readonly ok: true; readonly settings: FaultSettings }
  | { readonly ok: false; readonly message: string };

/** Reads fault settings from JSON text; the message of a refusal names each wrong field and what is allowed. */
export function parseFaults(json: string): ParsedFaults {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return { ok: false, message: 'the faults are not JSON; allowed is an object such as {"errors":{"500":0.1}}' };
  }
  const parsed = settingsSchema.safeParse(value);
  if (parsed.success) return { ok: true, settings: parsed.data };
  const problems = parsed.error.issues.map((issue) => {
    // zod keeps what is wrong with a key of a record inside its issue.
    const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
    return `${issue.path.join('.') || 'faults'}: ${message}`;
  });
  return { ok: false, message: problems.join('; ') };
}

/** @throws {ParleyError} CONFIG_INVALID when NLP_FAULTS is set and not valid. */
export function faultsFromEnvironment(json: string | undefined): FaultSettings {
  if (json === undefined) return NO_FAULTS;
  const parsed = parseFaults(json);
  if (!parsed.ok) throw new ParleyError('CONFIG_INVALID', `NLP_FAULTS is wrong: ${parsed.message}`);
  return parsed.settings;
}
