/** What the load API does wrong on order. Shares are of calls. */
export interface ApiFaults {
  /** Answered 500, after the usual delay. */
  readonly error_share: number;
  /** Never answered. */
  readonly hang_share: number;
  /** Times the usual delay. */
  readonly delay_factor: number;
  /** Calls a second; what is above is answered 429 at once. 0: no limit. */
  readonly throttle_per_s: number;
  readonly retry_after_s: number;
  /** Connections are refused, and those that are open are reset. */
  readonly down: boolean;
}

export const NO_FAULTS: ApiFaults = {
  error_share: 0,
  hang_share: 0,
  delay_factor: 1,
  throttle_per_s: 0,
  retry_after_s: 1,
  down: false,
};

export interface ApiStats {
  readonly calls: number;
  readonly batches: number;
  readonly documents: number;
  readonly answered: number;
  readonly errors: number;
  readonly hangs: number;
  readonly throttled: number;
  readonly in_flight: number;
  readonly most_in_flight: number;
  readonly connections: number;
}

/** Counts that go up from here. */
export const noCalls = () => ({
  calls: 0,
  batches: 0,
  documents: 0,
  answered: 0,
  errors: 0,
  hangs: 0,
  throttled: 0,
  in_flight: 0,
  most_in_flight: 0,
  connections: 0,
});
